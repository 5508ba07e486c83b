#include <mutex>

#include "gyro/linalg/cuda/reflector.cuh"
#include "gyro/linalg/linalg.h"

namespace gyro::linalg {
namespace {

constexpr int kSize = static_cast<int>(kGroup);
constexpr int kShared = kSize * (kSize + 1) * static_cast<int>(sizeof(double));

// A group of reflectors a block, a row of T a thread; `gram` and `t` are kSize x kSize a group.
__global__ void __launch_bounds__(kSize) form_t(const double* gram, const double* tau, double* t) {
  extern __shared__ double rows[];
  const int row = static_cast<int>(threadIdx.x), group = static_cast<int>(blockIdx.x);
  gram += group * kSize * kSize;
  auto& own = *reinterpret_cast<double(*)[kSize + 1]>(rows + row * (kSize + 1));
  form_row_of_t<kSize>(
      row, [=](int l, int j) { return gram[l + j * kSize]; }, tau + group * kSize, own);
  for (int j = 0; j < kSize; ++j) t[row + (group * kSize + j) * kSize] = own[j];
}

// V T of every group, for Q = Π (I − V T Vᵀ).
Matrix form_vt(const BandForm& b) {
  const Matrix& v = b.reflectors;
  const int n = static_cast<int>(v.rows()), groups = static_cast<int>(v.cols() / kGroup);
  const int64_t of_v = kGroup * n, of_t = kGroup * kGroup;
  const double one = 1, zero = 0;
  Matrix gram(kGroup, v.cols()), t(kGroup, v.cols()), vt(n, v.cols());
  check(cublas().dgemm_strided_batched(blas(), CUBLAS_OP_T, CUBLAS_OP_N, kSize, kSize, n, &one, v.data(), n, of_v,
                                       v.data(), n, of_v, &zero, gram.data(), kSize, of_t, groups),
        "cublasDgemmStridedBatched");
  static std::once_flag allowed[64];  // by GPU
  std::call_once(allowed[device::gpu() % 64], [] {
    check(cudaFuncSetAttribute(form_t, cudaFuncAttributeMaxDynamicSharedMemorySize, kShared), "shared memory");
  });
  form_t<<<static_cast<unsigned>(groups), kSize, kShared, device::stream()>>>(gram.data(), b.tau.get(), t.data());
  check(cudaGetLastError(), "reflector kernel");
  check(cublas().dgemm_strided_batched(blas(), CUBLAS_OP_N, CUBLAS_OP_N, n, kSize, kSize, &one, v.data(), n, of_v,
                                       t.data(), kSize, of_t, &zero, vt.data(), n, of_v, groups),
        "cublasDgemmStridedBatched");
  return vt;
}

}  // namespace

void apply_reflectors(const BandForm& b, MatrixView z) {
  const Matrix vt = form_vt(b);
  Matrix product(kGroup, z.cols);
  for (int64_t begin = vt.cols() - kGroup; begin >= 0; begin -= kGroup) {
    const int64_t top = begin + kBand, rows = z.rows - top;  // what the group's vectors do not reach is left out
    if (rows <= 0) continue;
    const MatrixView part = z.block(top, 0, rows, z.cols);
    gemm(Op::Transpose, Op::None, 1, b.reflectors.view().block(top, begin, rows, kGroup), part, 0, product);
    gemm(Op::None, Op::None, -1, vt.view().block(top, begin, rows, kGroup), product, 1, part);
  }
}

}  // namespace gyro::linalg
