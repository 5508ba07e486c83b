#include <algorithm>
#include <climits>

#include "gyro/linalg/cuda/tridiagonal.h"

namespace gyro::linalg {
namespace {

constexpr int kStride = 2 * kBand;  // of BandForm::band

struct Chase {
  double* band;
  int n, steps;
  double *reflectors, *tau;
  int* next;      // the sweep that is to be taken next
  int* progress;  // of sweep s at [s + 1]: how many blocks below the diagonal it has done with; [0] is before the first
};

__device__ int acquire(const int* flag) {
  int value;
  asm volatile("ld.acquire.gpu.global.s32 %0, [%1];" : "=r"(value) : "l"(flag) : "memory");
  return value;
}

// All that the warp has written may be read by whoever sees the flag.
__device__ void publish(int* flag, int value, int lane) {
  __threadfence();
  __syncwarp();
  if (lane == 0) asm volatile("st.release.gpu.global.s32 [%0], %1;" ::"l"(flag), "r"(value) : "memory");
}

// A block of the band, row by lane: what is below the diagonal of its kBand rows, or the block beside it.
using Row = double[kBand];

// One warp, one sweep after the other. Step t of sweep s makes the first column of the block below the diagonal, E,
// (rows R(t), columns R(t − 1)) a multiple of e_1 by H, and applies H to the rest of E, from both sides to the diagonal
// block D of R(t), and from the right to the E of step t + 1, which it thereby fills.
__global__ void __launch_bounds__(32) chase(Chase s) {
  __shared__ alignas(16) double v_of[kBand], w_of[kBand], f_of[kBand];
  const int lane = static_cast<int>(threadIdx.x);
  for (;;) {
    int sweep = 0;
    if (lane == 0) sweep = atomicAdd(s.next, 1);
    sweep = __shfl_sync(0xffffffff, sweep, 0);
    if (sweep > s.n - 3) return;
    const int* ahead = s.progress + sweep;
    int* own = s.progress + sweep + 1;
    double* vectors = s.reflectors + static_cast<int64_t>(sweep) * s.n;
    int seen = 0;
    Row e;
    for (int t = 0;; ++t) {
      const int first = sweep + 1 + t * kBand, rows = min(kBand, s.n - first);
      // The sweep before has put its hands off everything here once its block below the next diagonal one is done.
      if (seen < t + 3) {
        if (lane == 0) {
          while ((seen = acquire(ahead)) < t + 3) __nanosleep(32);
        }
        seen = __shfl_sync(0xffffffff, seen, 0);
        __syncwarp();
      }
      double* const below = s.band + static_cast<int64_t>(first) * kStride + lane;  // D(lane, c) is [c (kStride − 1)]
      const bool inside = lane < rows;
      Row d;
      double diagonal = 0;
#pragma unroll
      for (int c = 0; c < kBand; ++c) d[c] = inside && c < lane ? __ldcg(below + c * (kStride - 1)) : 0;
      if (inside) diagonal = __ldcg(below + lane * (kStride - 1));
      double* const column = s.band + static_cast<int64_t>(sweep) * kStride + 1 + lane;
      if (t == 0) e[0] = inside ? __ldcg(column) : 0;

      const double x = lane > 0 ? e[0] : 0;
      const Reflector h = reflector_of(__shfl_sync(0xffffffff, e[0], 0), sum_of_warp(x * x));
      const double v = lane == 0 ? 1 : h.scale * x;
      __syncwarp();
      v_of[lane] = v;
      if (inside) vectors[first + lane] = v;
      if (lane == 0) s.tau[t + static_cast<int64_t>(sweep) * s.steps] = h.tau;
      if (t == 0) {
        if (inside) *column = lane == 0 ? h.beta : 0;
      } else {
        f_of[lane] = h.tau * sums_of_warp(lane, [&](int c) { return v * e[c]; });
        __syncwarp();
        double* const beside = below + kBand - kBand * kStride;  // E(lane, c) is [c (kStride − 1)]
        if (inside) {
          *beside = lane == 0 ? h.beta : 0;
#pragma unroll
          for (int c = 1; c < kBand; ++c) beside[c * (kStride - 1)] = fma(-v, f_of[c], e[c]);
        }
      }
      __syncwarp();
      if (rows < 2) break;

      // The next E, on its way while D is worked on.
      const int next_rows = min(kBand, s.n - first - kBand);
#pragma unroll
      for (int c = 0; c < kBand; ++c) e[c] = lane < next_rows ? __ldcg(below + kBand + c * (kStride - 1)) : 0;

      double y = diagonal * v;
#pragma unroll
      for (int c = 0; c < kBand; ++c) y = fma(d[c], v_of[c], y);
      y += sums_of_warp(lane, [&](int c) { return d[c] * v; });
      const double w = h.tau * fma(-0.5 * h.tau * sum_of_warp(v * y), v, y);
      w_of[lane] = w;
      publish(own, t + 1, lane);
      if (inside) below[lane * (kStride - 1)] = fma(-2 * v, w, diagonal);
#pragma unroll
      for (int c = 0; c < kBand; ++c) {
        if (inside && c < lane) below[c * (kStride - 1)] = fma(-v, w_of[c], fma(-w, v_of[c], d[c]));
      }
      if (next_rows <= 0) break;
      double g = 0;
#pragma unroll
      for (int c = 0; c < kBand; ++c) g = fma(e[c], v_of[c], g);
      g *= h.tau;
#pragma unroll
      for (int c = 0; c < kBand; ++c) e[c] = fma(-g, v_of[c], e[c]);
    }
    publish(own, INT_MAX, lane);
  }
}

__global__ void take_diagonals(const double* band, int n, double* diagonal, double* off_diagonal) {
  const int j = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (j >= n) return;
  diagonal[j] = band[static_cast<int64_t>(j) * kStride];
  off_diagonal[j] = band[static_cast<int64_t>(j) * kStride + 1];
}

__global__ void open_first(int* progress) {
  *progress = INT_MAX;
}

}  // namespace

Tridiagonal::Tridiagonal(int64_t size)
    : n(size),
      steps((size + kBand - 1) / kBand),
      diagonal(size),
      off_diagonal(size),
      reflectors(Matrix::zeros(size, size)),
      tau(size * steps) {
  device::clear(tau.get(), sizeof(double) * static_cast<size_t>(size * steps));
}

Tridiagonal chase_bulges(BandForm& b) {
  const int64_t n = b.band.cols();
  Tridiagonal t(n);
  Scratch<int> flags(n + 1);
  device::clear(flags.get(), sizeof(int) * static_cast<size_t>(n + 1));
  open_first<<<1, 1, 0, device::stream()>>>(flags.get() + 1);
  const Chase s{b.band.data(),      static_cast<int>(n), static_cast<int>(t.steps), t.reflectors.data(), t.tau.get(),
                flags.get(), flags.get() + 1};
  // A sweep follows the one before it by two to three blocks: more warps than this would only wait.
  const auto warps = static_cast<unsigned>(n / (2 * kBand) + 1);
  chase<<<warps, 32, 0, device::stream()>>>(s);
  take_diagonals<<<static_cast<unsigned>((n + 127) / 128), 128, 0, device::stream()>>>(
      b.band.data(), static_cast<int>(n), t.diagonal.get(), t.off_diagonal.get());
  check(cudaGetLastError(), "bulge-chasing kernel");
  return t;
}

}  // namespace gyro::linalg
