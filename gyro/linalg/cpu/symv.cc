#include "gyro/linalg/cpu/symv.h"

#include <algorithm>
#include <array>
#include <vector>

#include "gyro/base/clones.h"
#include "gyro/base/team.h"

namespace gyro::linalg {
namespace {

constexpr int64_t kColumns = 8;
constexpr int64_t kLanes = 8;
// Eight numbers at any address, which the compiler parts as the processor wants them.
using Lanes = double __attribute__((vector_size(kLanes * sizeof(double)), aligned(sizeof(double)), may_alias));

const Lanes& at(const double* from) {
  return *reinterpret_cast<const Lanes*>(from);
}

double sum_of(const Lanes& v) {
  return ((v[0] + v[4]) + (v[1] + v[5])) + ((v[2] + v[6]) + (v[3] + v[7]));
}

// y += A x for columns [j, j + kColumns) below their triangle: A's entries are read once for both of their places.
GYRO_CLONES void add_columns(ConstMatrixView a, int64_t j, const double* x, double* y) {
  Lanes sums[kColumns] = {};
  int64_t i = j + kColumns;
  for (; i + kLanes <= a.rows; i += kLanes) {
    const Lanes xi = at(x + i);
    Lanes yi = at(y + i);
#pragma GCC unroll 8
    for (int64_t c = 0; c < kColumns; ++c) {
      const Lanes entries = at(a.col(j + c) + i);
      yi += entries * x[j + c];
      sums[c] += entries * xi;
    }
    *reinterpret_cast<Lanes*>(y + i) = yi;
  }
  for (int64_t c = 0; c < kColumns; ++c) {
    const double* column = a.col(j + c);
    double sum = sum_of(sums[c]);
    for (int64_t r = i; r < a.rows; ++r) {
      y[r] += column[r] * x[j + c];
      sum += column[r] * x[r];
    }
    y[j + c] += sum;
  }
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
    add_columns(a, j, x, y);
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
