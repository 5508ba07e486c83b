#include "gyro/linalg/cpu/symv.h"

#include <algorithm>
#include <array>
#include <vector>

#include "gyro/base/clones.h"
#include "gyro/base/team.h"

namespace gyro::linalg {
namespace {

constexpr int64_t kColumns = 4;
constexpr int64_t kLanes = 8;
// Eight numbers at any address, which the compiler parts as the processor wants them.
using Lanes = double __attribute__((vector_size(kLanes * sizeof(double)), aligned(sizeof(double)), may_alias));

double sum_of(const Lanes& v) {
  return ((v[0] + v[4]) + (v[1] + v[5])) + ((v[2] + v[6]) + (v[3] + v[7]));
}

// Columns [j, j + kColumns) below their triangle, whose rows begin at `first`: A's entries are read once for both of
// their places.
GYRO_CLONES void add_columns(ConstMatrixView a, int64_t j, int64_t first, const double* x, double* y) {
  const double *a0 = a.col(j), *a1 = a.col(j + 1), *a2 = a.col(j + 2), *a3 = a.col(j + 3);
  const double x0 = x[j], x1 = x[j + 1], x2 = x[j + 2], x3 = x[j + 3];
  Lanes s0 = {}, s1 = {}, s2 = {}, s3 = {};
  int64_t i = first;
  for (; i + kLanes <= a.rows; i += kLanes) {
    const Lanes c0 = *reinterpret_cast<const Lanes*>(a0 + i), c1 = *reinterpret_cast<const Lanes*>(a1 + i);
    const Lanes c2 = *reinterpret_cast<const Lanes*>(a2 + i), c3 = *reinterpret_cast<const Lanes*>(a3 + i);
    const Lanes xi = *reinterpret_cast<const Lanes*>(x + i);
    Lanes& yi = *reinterpret_cast<Lanes*>(y + i);
    yi += (c0 * x0 + c1 * x1) + (c2 * x2 + c3 * x3);
    s0 += c0 * xi;
    s1 += c1 * xi;
    s2 += c2 * xi;
    s3 += c3 * xi;
  }
  double t0 = sum_of(s0), t1 = sum_of(s1), t2 = sum_of(s2), t3 = sum_of(s3);
  for (; i < a.rows; ++i) {
    y[i] += (a0[i] * x0 + a1[i] * x1) + (a2[i] * x2 + a3[i] * x3);
    t0 += a0[i] * x[i];
    t1 += a1[i] * x[i];
    t2 += a2[i] * x[i];
    t3 += a3[i] * x[i];
  }
  y[j] += t0;
  y[j + 1] += t1;
  y[j + 2] += t2;
  y[j + 3] += t3;
}

// The triangle of columns [j, end) at the diagonal.
void add_triangle(ConstMatrixView a, int64_t j, int64_t end, const double* x, double* y) {
  for (int64_t k = j; k < end; ++k) {
    y[k] += a(k, k) * x[k];
    for (int64_t i = k + 1; i < end; ++i) {
      y[i] += a(i, k) * x[k];
      y[k] += a(i, k) * x[i];
    }
  }
}

// y += A x for the columns [begin, end) of A, of the rows at and below each one's diagonal.
void add_range(ConstMatrixView a, int64_t begin, int64_t end, const double* x, double* y, Sweep sweep) {
  const int64_t whole = (end - begin) / kColumns, rest = begin + whole * kColumns;
  const auto add_rest = [&] {
    if (rest == end) return;
    add_triangle(a, rest, end, x, y);
    for (int64_t j = rest; j < end; ++j) {
      for (int64_t i = end; i < a.rows; ++i) {
        y[i] += a(i, j) * x[j];
        y[j] += a(i, j) * x[i];
      }
    }
  };
  if (sweep == Sweep::Backward) add_rest();
  for (int64_t step = 0; step < whole; ++step) {
    const int64_t j = begin + kColumns * (sweep == Sweep::Forward ? step : whole - 1 - step);
    add_triangle(a, j, j + kColumns, x, y);
    add_columns(a, j, j + kColumns, x, y);
  }
  if (sweep == Sweep::Forward) add_rest();
}

}  // namespace

void symv_lower(ConstMatrixView a, const double* x, double* y, Sweep sweep) {
  // Large products are summed by ranges of columns of equal area, always the same ones, for threads that would help.
  constexpr int kRanges = 4;
  constexpr std::array<double, kRanges + 1> kEnds = {0, 0.13397, 0.29289, 0.5, 1};  // 1 − √(1 − r/4)
  const int64_t n = a.rows;
  if (n < 768) {
    std::fill_n(y, n, 0.0);
    return add_range(a, 0, n, x, y, sweep);
  }
  std::array<int64_t, kRanges + 1> ends{};
  for (size_t r = 1; r <= kRanges; ++r) {
    ends[r] = r == kRanges ? n : static_cast<int64_t>(kEnds[r] * static_cast<double>(n)) / kLanes * kLanes;
  }
  thread_local std::vector<double> sums;
  sums.assign(static_cast<size_t>(kRanges * n), 0);
  double* const partial = sums.data();
  share(kRanges, [&](int part) {
    const auto r = static_cast<size_t>(sweep == Sweep::Forward ? part : kRanges - 1 - part);
    add_range(a, ends[r], ends[r + 1], x, partial + static_cast<int64_t>(r) * n, sweep);
  });
  for (int64_t i = 0; i < n; ++i) y[i] = (partial[i] + partial[n + i]) + (partial[2 * n + i] + partial[3 * n + i]);
}

}  // namespace gyro::linalg
