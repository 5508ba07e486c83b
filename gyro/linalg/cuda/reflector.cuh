#pragma once

#include "gyro/linalg/cuda/tridiagonal.h"

/// What the kernels of both stages share.
namespace gyro::linalg {

struct Reflector {
  double beta, tau, scale;  ///< H x = beta e_1 for x = (alpha, rest): v = (1, scale rest)
};

/// A rest below 2^-480, of a matrix whose norm is about 1, counts as zero: its square has lost digits, and the
/// reflector would not be orthogonal.
__device__ inline Reflector reflector_of(double alpha, double rest_squared) {
  if (rest_squared < 0x1p-960) return {alpha, 0, 0};
  const double square = fma(alpha, alpha, rest_squared), inverse = rsqrt(square);
  const double beta = -copysign(square * inverse, alpha);
  return {beta, fma(fabs(alpha), inverse, 1), 1 / (alpha - beta)};
}

__device__ inline double sum_of_warp(double value) {
  for (int step = 16; step > 0; step /= 2) value += __shfl_xor_sync(0xffffffff, value, step);
  return value;
}

/// A step of sums_of_warp: sums i and i + kStep of two halves of the lanes become one.
template <int kStep>
__device__ __forceinline__ void halve(double (&sum)[16], int lane) {
#pragma unroll
  for (int i = 0; i < kStep; ++i) {
    const double low = sum[i], high = sum[i + kStep];
    sum[i] = (lane & kStep ? high : low) + __shfl_xor_sync(0xffffffff, lane & kStep ? low : high, kStep);
  }
}

/// 32 sums over a warp at once: lane i gets that of all lanes' term(i).
template <typename Term>
__device__ __forceinline__ double sums_of_warp(int lane, Term term) {
  double sum[16];
#pragma unroll
  for (int i = 0; i < 16; ++i) {
    const double low = term(i), high = term(i + 16);
    sum[i] = (lane & 16 ? high : low) + __shfl_xor_sync(0xffffffff, lane & 16 ? low : high, 16);
  }
  halve<8>(sum, lane);
  halve<4>(sum, lane);
  halve<2>(sum, lane);
  halve<1>(sum, lane);
  return sum[0];
}

/// A row of T, whose other rows it does not need: I − V T Vᵀ = H_0 H_1 ... for T(:, j) = −tau_j T VᵀV(:, j) above the
/// diagonal and tau_j on it. gram(l, j) is VᵀV's element; only what is above the diagonal counts. Sums are in four
/// chains: a chain waits for each of its products.
template <int kSize, typename Gram>
__device__ __forceinline__ void form_row_of_t(int row, Gram gram, const double* tau, double (&t)[kSize + 1]) {
  const int first = row / 32 * 32;  // the warp's lanes go together
  for (int j = 0; j < kSize; ++j) t[j] = 0;
  for (int j = first; j < kSize; ++j) {
    double sum[4] = {};
    for (int l = first; l < j; l += 4) {  // T is zero before its diagonal and, so far, from column j on
#pragma unroll
      for (int k = 0; k < 4; ++k) sum[k] = fma(t[l + k], gram(l + k, j), sum[k]);
    }
    if (j >= row) t[j] = j == row ? tau[j] : -tau[j] * ((sum[0] + sum[1]) + (sum[2] + sum[3]));
  }
}

}  // namespace gyro::linalg
