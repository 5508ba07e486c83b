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

// f(the first column, the columns' part that is not zero, of reflectors and of what is scaled) for each kReflectors
// columns, the last first.
template <typename F>
void for_each_block(const BandForm& b, F f) {
  const int64_t count = b.reflectors.rows() - kBand;
  for (int64_t begin = (count - 1) / kReflectors * kReflectors; begin >= 0; begin -= kReflectors) {
    const int64_t k = std::min(kReflectors, count - begin), rows = count - begin;
    f(begin, b.reflectors.view().block(begin + kBand, begin, rows, k),
      b.scaled.view().block(begin + kBand, begin, rows, k));
  }
}

}  // namespace

void scale_reflectors(BandForm& b) {
  const double one = 1;
  Matrix inverses(kReflectors, kReflectors);
  b.scaled = Matrix(b.reflectors.rows(), b.reflectors.cols());
  for_each_block(b, [&](int64_t begin, ConstMatrixView v, ConstMatrixView place) {
    const MatrixView inverse = inverses.view().block(0, 0, v.cols, v.cols);
    const MatrixView scaled = b.scaled.view().block(begin + kBand, begin, place.rows, place.cols);
    const double* tau = b.tau.get() + begin;
    gemm(Op::Transpose, Op::None, 1, v, v, 0, inverse);
    inverse_of_t<<<static_cast<unsigned>(v.cols), kReflectors, 0, device::stream()>>>(inverse, tau);
    copy_unless_empty<<<static_cast<unsigned>(v.cols), 2 * kReflectors, 0, device::stream()>>>(v, tau, scaled);
    check(cudaGetLastError(), "reflector kernel");
    check(cublas().dtrsm(blas(), CUBLAS_SIDE_RIGHT, CUBLAS_FILL_MODE_UPPER, CUBLAS_OP_N, CUBLAS_DIAG_NON_UNIT,
                         static_cast<int>(scaled.rows), static_cast<int>(scaled.cols), &one, inverse.data,
                         static_cast<int>(inverse.ld), scaled.data, static_cast<int>(scaled.ld)),
          "cublasDtrsm");
  });
}

void apply_reflectors(const BandForm& b, MatrixView z) {
  Matrix products(kReflectors, z.cols);
  for_each_block(b, [&](int64_t begin, ConstMatrixView v, ConstMatrixView scaled) {
    const MatrixView part = z.block(begin + kBand, 0, v.rows, z.cols);
    const MatrixView product = products.view().block(0, 0, v.cols, z.cols);
    gemm(Op::Transpose, Op::None, 1, v, part, 0, product);
    gemm(Op::None, Op::None, -1, scaled, product, 1, part);
  });
}

}  // namespace gyro::linalg
