#include <algorithm>

#include "gyro/linalg/cuda/tridiagonal.h"
#include "gyro/linalg/linalg.h"

namespace gyro::linalg {
namespace {

// strict upper triangle of s = VᵀV, 1/tau on the diagonal: the inverse of the compact WY form's T. A reflector that
// does nothing is given weight 1 and, below, an empty column.
__global__ void inverse_of_t(MatrixView s, const double* tau) {
  for (int64_t j = blockIdx.x; j < s.cols; j += gridDim.x) {
    for (int64_t i = threadIdx.x; i < s.rows; i += blockDim.x) {
      const bool empty = tau[i] == 0 || tau[j] == 0;
      if (i == j) s.data[i + j * s.ld] = empty ? 1 : 1 / tau[i];
      if (i < j && empty) s.data[i + j * s.ld] = 0;
    }
  }
}

__global__ void empty_rows(MatrixView x, const double* tau) {
  for (int64_t j = blockIdx.x; j < x.cols; j += gridDim.x) {
    for (int64_t i = threadIdx.x; i < x.rows; i += blockDim.x) {
      if (tau[i] == 0) x.data[i + j * x.ld] = 0;
    }
  }
}

}  // namespace

void apply_reflectors(const BandForm& b, MatrixView z) {
  constexpr int64_t kBlock = 128;
  const int64_t n = z.rows, count = n - kBand;
  if (count <= 0) return;
  Matrix s(kBlock, kBlock), w(kBlock, z.cols);
  const double one = 1;
  for (int64_t begin = (count - 1) / kBlock * kBlock; begin >= 0; begin -= kBlock) {
    const int64_t k = std::min(kBlock, count - begin), rows = count - begin;
    const ConstMatrixView v = b.reflectors.view().block(begin + kBand, begin, rows, k);
    const MatrixView part = z.block(begin + kBand, 0, rows, z.cols), product = w.view().block(0, 0, k, z.cols),
                     inverse = s.view().block(0, 0, k, k);
    gemm(Op::Transpose, Op::None, 1, v, v, 0, inverse);
    inverse_of_t<<<static_cast<unsigned>(k), kBlock, 0, device::stream()>>>(inverse, b.tau.get() + begin);
    gemm(Op::Transpose, Op::None, 1, v, part, 0, product);
    empty_rows<<<512, kBlock, 0, device::stream()>>>(product, b.tau.get() + begin);
    check(cudaGetLastError(), "reflector kernel");
    check(cublas().dtrsm(blas(), CUBLAS_SIDE_LEFT, CUBLAS_FILL_MODE_UPPER, CUBLAS_OP_N, CUBLAS_DIAG_NON_UNIT,
                         static_cast<int>(k), static_cast<int>(z.cols), &one, inverse.data,
                         static_cast<int>(inverse.ld), product.data, static_cast<int>(product.ld)),
          "cublasDtrsm");
    gemm(Op::None, Op::None, -1, v, product, 1, part);
  }
}

}  // namespace gyro::linalg
