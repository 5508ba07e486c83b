#include <cmath>

#include "gyro/linalg/cuda/tridiagonal.h"

namespace gyro::linalg {
namespace {

constexpr int kThreads = 128;
constexpr int kLanes = 8;    // threads that search for one eigenvalue together
constexpr int kPasses = 19;  // each divides the interval by kLanes + 1: 9^19 > 2^60

// 1/x to about an ulp, without the slow path of a division: x is neither tiny nor infinite here.
__device__ double reciprocal(double x) {
  double r;
  asm("rcp.approx.ftz.f64 %0, %1;" : "=d"(r) : "d"(x));
  r = fma(r, fma(-x, r, 1.0), r);
  return fma(r, fma(-x, r, 1.0), r);
}

__device__ double guarded(double pivot) {
  return fabs(pivot) < 0x1p-500 ? -0x1p-500 : pivot;
}

// How many eigenvalues are below x: the negative pivots of T − x (Sturm).
__device__ int count_below(const double* d, const double* e2, int n, double x) {
  int count = 0;
  double pivot = guarded(d[0] - x);
  for (int i = 1; i < n; ++i) {
    count += pivot < 0;
    pivot = guarded(fma(-e2[i - 1], reciprocal(pivot), d[i] - x));
  }
  return count + (pivot < 0);
}

// Lanes of one eigenvalue try kLanes points of its interval at once. T's entries are of order 1.
__global__ void bisect(const double* d, const double* e2, int n, double reach, double* values) {
  const int thread = blockIdx.x * kThreads + threadIdx.x, lane = thread % kLanes;
  const int index = min(thread / kLanes, n - 1);  // ascending
  double low = -reach, high = reach;
  for (int pass = 0; pass < kPasses; ++pass) {
    const double step = (high - low) / (kLanes + 1);
    const double x = low + step * (lane + 1);
    const bool above = count_below(d, e2, n, x) > index;  // the eigenvalue is below x
    const unsigned group = threadIdx.x % 32 / kLanes * kLanes;
    const unsigned votes = __ballot_sync(0xffffffff, above) >> group & ((1u << kLanes) - 1);
    const int below = kLanes - __popc(votes);  // points that the eigenvalue is above
    const double base = low;
    if (below > 0) low = base + step * below;
    if (below < kLanes) high = base + step * (below + 1);
  }
  if (lane == 0 && thread / kLanes < n) values[n - 1 - index] = 0.5 * (low + high);
}

__global__ void square(const double* e, int n, double* e2) {
  const int i = blockIdx.x * kThreads + threadIdx.x;
  if (i < n) e2[i] = e[i] * e[i];
}

// A thread an eigenvector. `top` and `out` hold element i of vector k at [i n + k].
__global__ void twist(const double* d, const double* e, int n, const double* values, double* top, double* out) {
  const int k = blockIdx.x * kThreads + threadIdx.x;
  if (k >= n) return;
  const double x = values[k];
  const auto at = [n, k](int i) { return static_cast<int64_t>(i) * n + k; };
  double pivot = guarded(d[0] - x);
  top[at(0)] = pivot;
  for (int i = 1; i < n; ++i) {
    pivot = guarded(fma(-e[i - 1] * e[i - 1], reciprocal(pivot), d[i] - x));
    top[at(i)] = pivot;
  }
  // From the bottom; out keeps those pivots. The twist is where the two meet best.
  int best = n - 1;
  double least = fabs(pivot);
  pivot = guarded(d[n - 1] - x);
  out[at(n - 1)] = pivot;
  for (int i = n - 2; i >= 0; --i) {
    const double shifted = d[i] - x;
    pivot = guarded(fma(-e[i] * e[i], reciprocal(pivot), shifted));
    out[at(i)] = pivot;
    const double gamma = fabs(top[at(i)] + (pivot - shifted));
    if (gamma < least) {
      least = gamma;
      best = i;
    }
  }
  double z = 1, sum = 1;
  for (int i = best + 1; i < n; ++i) {
    z *= -e[i - 1] * reciprocal(out[at(i)]);
    out[at(i)] = z;
    sum = fma(z, z, sum);
  }
  z = 1;
  for (int i = best - 1; i >= 0; --i) {
    z *= -e[i] * reciprocal(top[at(i)]);
    out[at(i)] = z;
    sum = fma(z, z, sum);
  }
  out[at(best)] = 1;
  const double length = rsqrt(sum);
  for (int i = 0; i < n; ++i) out[at(i)] *= length;
}

unsigned blocks(int64_t threads) {
  return static_cast<unsigned>((threads + kThreads - 1) / kThreads);
}

}  // namespace

void tridiagonal_eigenvalues(const Tridiagonal& t, double* values) {
  const int64_t n = t.n;
  Scratch<double> squares(n);
  square<<<blocks(n), kThreads, 0, device::stream()>>>(t.off_diagonal.get(), static_cast<int>(n), squares.get());
  // ‖T‖_F ≤ 2 as eigh scales its matrices, so that no eigenvalue is outside.
  bisect<<<blocks(n * kLanes), kThreads, 0, device::stream()>>>(t.diagonal.get(), squares.get(), static_cast<int>(n),
                                                                2.5, values);
  check(cudaGetLastError(), "bisection kernel");
}

void tridiagonal_eigenvectors(const Tridiagonal& t, const double* values, MatrixView rows) {
  const int64_t n = rows.rows;
  Matrix top(n, n);
  twist<<<blocks(n), kThreads, 0, device::stream()>>>(t.diagonal.get(), t.off_diagonal.get(), static_cast<int>(n),
                                                      values, top.data(), rows.data);
  check(cudaGetLastError(), "eigenvector kernel");
}

}  // namespace gyro::linalg
