#include <algorithm>
#include <climits>

#include "gyro/linalg/cuda/reflector.cuh"

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

// A sweep follows the one before it by two to three blocks of the band: more blocks of threads than this, for sweeps
// down `rows` rows, would only wait.
__host__ __device__ int blocks_for(int rows) {
  return rows / (2 * kBand) + 2;
}

__device__ int acquire(const int* flag) {
  int value;
  asm volatile("ld.acquire.gpu.global.s32 %0, [%1];" : "=r"(value) : "l"(flag) : "memory");
  return value;
}

__device__ void publish(int* flag, int value) {
  asm volatile("fence.acq_rel.gpu;" ::: "memory");
  asm volatile("st.relaxed.gpu.global.s32 [%0], %1;" ::"l"(flag), "r"(value) : "memory");
}

constexpr int kWarps = 4, kThreads = 32 * (kWarps + 1);  // the last warp is in touch with the other sweeps
constexpr int kOwn = kBand / kWarps;                     // columns of a warp in each block

// A warp's columns of a block, a row a lane.
using Columns = double[kOwn];

// Σ of the lanes' a[i] x: lane l gets that of i = l % kOwn.
__device__ __forceinline__ double column_sums(const Columns& a, double x, int lane) {
  static_assert(kOwn == 8);
  double sum[4];
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const double low = a[i] * x, high = a[i + 4] * x;
    sum[i] = (lane & 4 ? high : low) + __shfl_xor_sync(0xffffffff, lane & 4 ? low : high, 4);
  }
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    sum[i] = (lane & 2 ? sum[i + 2] : sum[i]) + __shfl_xor_sync(0xffffffff, lane & 2 ? sum[i] : sum[i + 2], 2);
  }
  sum[0] = (lane & 1 ? sum[1] : sum[0]) + __shfl_xor_sync(0xffffffff, lane & 1 ? sum[0] : sum[1], 1);
  sum[0] += __shfl_xor_sync(0xffffffff, sum[0], 8);
  return sum[0] + __shfl_xor_sync(0xffffffff, sum[0], 16);
}

// The lane's share of a product with a vector of which `b` are the numbers that belong to the warp's columns.
__device__ __forceinline__ double row_sum(const Columns& a, const double* b) {
  double even = 0, odd = 0;
#pragma unroll
  for (int i = 0; i < kOwn; i += 2) {
    even = fma(a[i], b[i], even);
    odd = fma(a[i + 1], b[i + 1], odd);
  }
  return even + odd;
}

// Sums over the columns of all warps, of one step; the next step has another.
struct Exchange {
  double y_of_rows[kWarps][kBand], y_of_columns[kBand], g[kWarps][kBand];
};

// A barrier of the block's own that the last warp arrives at without waiting.
__device__ void pass_ahead() {
  asm volatile("barrier.cta.arrive 1, %0;" ::"n"(kThreads) : "memory");
}
__device__ void await_pass() {
  asm volatile("barrier.cta.sync 1, %0;" ::"n"(kThreads) : "memory");
}

// The last warp's part of a sweep: it lets the others into a step once the sweep before has put its hands off what the
// step touches, which is when its block below the next diagonal one is done, and says how far they are.
__device__ void keep_in_touch(const Chase& s, int sweep, int lane) {
  int seen = 0;
  for (int t = 0;; ++t) {
    const int left = s.n - (sweep + 1 + t * kBand);  // rows from those of the step on
    if (lane == 0) {
      while (seen < t + 3) seen = acquire(s.progress + sweep);
    }
    __syncwarp();
    pass_ahead();
    if (left < 2) return;
    __syncthreads();
    if (lane == 0) publish(s.progress + sweep + 1, t + 1);
    if (left <= kBand) return;
  }
}

// Step t of sweep s makes the first column of the block below the diagonal, E, (rows R(t), columns R(t − 1)) a multiple
// of e_1 by H, and applies H to the rest of E, from both sides to the diagonal block D of R(t), and from the right to
// the E of step t + 1, which it thereby fills. Each of the warps has a quarter of the columns, and all of E's first so
// that it finds H by itself.
struct Sweeper {
  const Chase& s;
  int sweep, lane, warp;
  Exchange* exchange;  // two
  double *v_of, *v_own, *w_own, *f_own;

  __device__ void run() const {
    constexpr int kNext = kStride - 1;  // from an element to the one on its right
    const int first_own = warp * kOwn;
    double e_first = 0;
    Columns e;
    for (int t = 0;; ++t) {
      const int first = sweep + 1 + t * kBand, rows = min(kBand, s.n - first),
                next_rows = min(kBand, s.n - first - kBand);
      double* const below = s.band + static_cast<int64_t>(first) * kStride + lane;  // D(lane, c) at [c kNext]
      double* const column = s.band + static_cast<int64_t>(sweep) * kStride + 1 + lane;
      const bool inside = lane < rows;
      await_pass();
      Columns d, e_next;
#pragma unroll
      for (int i = 0; i < kOwn; ++i) {
        const int c = first_own + i;
        d[i] = inside && c < lane ? __ldcg(below + c * kNext) : 0;
        e_next[i] = lane < next_rows ? __ldcg(below + kBand + c * kNext) : 0;
      }
      const double diagonal = inside && warp == kWarps - 1 ? __ldcg(below + lane * kNext) : 0;
      const double e_next_first = lane < next_rows ? __ldcg(below + kBand) : 0;
      if (t == 0) e_first = inside ? __ldcg(column) : 0;

      const double x = lane > 0 ? e_first : 0;
      const Reflector h = reflector_of(__shfl_sync(0xffffffff, e_first, 0), sum_of_warp(x * x));
      const double v = lane == 0 ? 1 : h.scale * x, leading = lane == 0 ? h.beta : 0;
      __syncwarp();
      v_of[lane] = v;
      if (t > 0) {
        const double f = h.tau * column_sums(e, v, lane);
        if (lane < kOwn) f_own[lane] = f;
      }
      __syncwarp();
      if (inside && t > 0) {
        double* const beside = below + kBand - kBand * kStride + first_own * kNext;
#pragma unroll
        for (int i = 0; i < kOwn; ++i) beside[i * kNext] = first_own + i == 0 ? leading : fma(-v, f_own[i], e[i]);
      }
      if (inside && warp == 1) s.reflectors[first + lane + static_cast<int64_t>(sweep) * s.n] = v;
      if (lane == 0 && warp == 2) s.tau[t + static_cast<int64_t>(sweep) * s.steps] = h.tau;
      if (rows < 2) return;

      Exchange& shared = exchange[t % 2];
      shared.y_of_rows[warp][lane] = fma(diagonal, v, row_sum(d, v_own));
      const double of_columns = column_sums(d, v, lane);
      if (lane < kOwn) shared.y_of_columns[first_own + lane] = of_columns;
      shared.g[warp][lane] = row_sum(e_next, v_own);
      __syncthreads();
      if (inside && t == 0 && warp == 0) *column = leading;  // all warps have read it
      double y = shared.y_of_columns[lane], g = 0;
#pragma unroll
      for (int i = 0; i < kWarps; ++i) {
        y += shared.y_of_rows[i][lane];
        g += shared.g[i][lane];
      }
      const double w = h.tau * fma(-0.5 * h.tau * sum_of_warp(v * y), v, y);
      if (lane / kOwn == warp) w_own[lane % kOwn] = w;
      __syncwarp();
#pragma unroll
      for (int i = 0; i < kOwn; ++i) {
        const int c = first_own + i;
        if (inside && c < lane) below[c * kNext] = fma(-v, w_own[i], fma(-w, v_own[i], d[i]));
      }
      if (inside && warp == kWarps - 1) below[lane * kNext] = fma(-2 * v, w, diagonal);
      if (next_rows <= 0) return;
      g *= h.tau;
#pragma unroll
      for (int i = 0; i < kOwn; ++i) e[i] = fma(-g, v_own[i], e_next[i]);
      e_first = e_next_first - g;
    }
  }
};

// A block of threads works off one sweep after the other.
__global__ void __launch_bounds__(kThreads) chase(Chase s) {
  __shared__ Exchange exchange[2];
  __shared__ alignas(16) double v_of[kWarps][kBand], w_own[kWarps][kOwn], f_own[kWarps][kOwn];
  __shared__ int taken;
  const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
  for (;;) {
    if (threadIdx.x == 0) {
      // The fewer steps a sweep has, the fewer sweeps go on at a time.
      const bool needed = static_cast<int>(blockIdx.x) < blocks_for(s.n - *static_cast<volatile int*>(s.next));
      taken = needed ? atomicAdd(s.next, 1) : s.n;
    }
    __syncthreads();
    const int sweep = taken;
    if (sweep > s.n - 3) return;
    if (warp == kWarps) {
      keep_in_touch(s, sweep, lane);
    } else {
      Sweeper{s, sweep, lane, warp, exchange, v_of[warp], v_of[warp] + warp * kOwn, w_own[warp], f_own[warp]}.run();
    }
    __syncthreads();
    if (threadIdx.x == 0) publish(s.progress + sweep + 1, INT_MAX);
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
  const Chase s{b.band.data(), static_cast<int>(n), static_cast<int>(t.steps), t.reflectors.data(), t.tau.get(),
                flags.get(),   flags.get() + 1};
  chase<<<static_cast<unsigned>(blocks_for(s.n)), kThreads, 0, device::stream()>>>(s);
  take_diagonals<<<static_cast<unsigned>((n + 127) / 128), 128, 0, device::stream()>>>(
      b.band.data(), static_cast<int>(n), t.diagonal.get(), t.off_diagonal.get());
  check(cudaGetLastError(), "bulge-chasing kernel");
  return t;
}

}  // namespace gyro::linalg
