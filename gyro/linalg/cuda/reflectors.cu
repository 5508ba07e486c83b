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

__global__ void copy_unless_empty(ConstMatrixView v, const double* tau, MatrixView out) {
  for (int64_t j = blockIdx.x; j < v.cols; j += gridDim.x) {
    for (int64_t i = threadIdx.x; i < v.rows; i += blockDim.x) {
      out.data[i + j * out.ld] = tau[j] == 0 ? 0 : v.data[i + j * v.ld];
    }
  }
}

}  // namespace

void apply_reflectors(const BandForm& b, MatrixView z) {
  constexpr int64_t kBlock = 128;
  const int64_t count = z.rows - kBand;
  const double one = 1;
  Matrix inverses(kBlock, kBlock), products(kBlock, z.cols), scaled_columns(count, kBlock);
  for (int64_t begin = (count - 1) / kBlock * kBlock; begin >= 0; begin -= kBlock) {
    const int64_t k = std::min(kBlock, count - begin), rows = count - begin;
    const ConstMatrixView v = b.reflectors.view().block(begin + kBand, begin, rows, k);
    const MatrixView part = z.block(begin + kBand, 0, rows, z.cols), product = products.view().block(0, 0, k, z.cols),
                     inverse = inverses.view().block(0, 0, k, k), scaled = scaled_columns.view().block(0, 0, rows, k);
    const double* tau = b.tau.get() + begin;
    gemm(Op::Transpose, Op::None, 1, v, v, 0, inverse);
    inverse_of_t<<<static_cast<unsigned>(k), kBlock, 0, device::stream()>>>(inverse, tau);
    copy_unless_empty<<<static_cast<unsigned>(k), 2 * kBlock, 0, device::stream()>>>(v, tau, scaled);
    check(cudaGetLastError(), "reflector kernel");
    check(cublas().dtrsm(blas(), CUBLAS_SIDE_RIGHT, CUBLAS_FILL_MODE_UPPER, CUBLAS_OP_N, CUBLAS_DIAG_NON_UNIT,
                         static_cast<int>(rows), static_cast<int>(k), &one, inverse.data, static_cast<int>(inverse.ld),
                         scaled.data, static_cast<int>(scaled.ld)),
          "cublasDtrsm");
    gemm(Op::Transpose, Op::None, 1, v, part, 0, product);
    gemm(Op::None, Op::None, -1, scaled, product, 1, part);
  }
}

}  // namespace gyro::linalg
