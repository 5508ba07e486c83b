#include "gyro/report/curves.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "gyro/base/clones.h"

namespace gyro {
namespace {

// out[j] += f/(1 + 2f) for the pairs of `own` with begin ≤ j < end.
GYRO_CLONES void add_pairs(const float* square, float own, float noise, int64_t begin, int64_t end, float* out) {
  for (int64_t j = begin; j < end; ++j) {
    const float sum = noise * (square[j] + own), gap = square[j] - own;
    out[j] += sum / (gap * gap + 2 * sum);
  }
}

}  // namespace

std::vector<int64_t> even_bins(int64_t n, int64_t limit) {
  const int64_t bins = std::max<int64_t>(1, std::min(n, limit));
  std::vector<int64_t> edges;
  for (int64_t b = 0; b <= bins; ++b) edges.push_back(b * n / bins);
  return edges;
}

std::vector<int64_t> log_bins(int64_t n, int64_t limit) {
  if (n <= limit) return even_bins(n, n);
  std::vector<int64_t> edges = {0};
  const double step = std::log(static_cast<double>(n) + 1) / static_cast<double>(limit);
  for (int64_t b = 1; b <= limit; ++b) {
    const auto edge = static_cast<int64_t>(std::llround(std::exp(step * static_cast<double>(b)) - 1));
    if (edge > edges.back()) edges.push_back(std::min(edge, n));
  }
  if (edges.back() < n) edges.push_back(n);
  return edges;
}

std::vector<float> bin_means(const std::vector<double>& values, const std::vector<int64_t>& edges) {
  std::vector<float> means;
  for (size_t b = 0; b + 1 < edges.size(); ++b) {
    double sum = 0, count = 0;
    for (int64_t i = edges[b]; i < edges[b + 1]; ++i) {
      const double value = values[static_cast<size_t>(i)];
      if (!std::isfinite(value)) continue;
      sum += value;
      ++count;
    }
    means.push_back(count > 0 ? static_cast<float>(sum / count) : std::numeric_limits<float>::quiet_NaN());
  }
  return means;
}

TurnNull turn_null(const std::vector<double>& sigma, int64_t m, double s) {
  const auto n = static_cast<int64_t>(sigma.size());
  const double largest = sigma.empty() ? 0 : sigma.front();
  TurnNull null{std::vector<double>(sigma.size(), 1), std::vector<double>(sigma.size(), 1)};
  if (!(largest > 0) || !std::isfinite(s)) return null;
  std::vector<float> square, sums(sigma.size(), 0);
  for (const double value : sigma) square.push_back(static_cast<float>(value * value / (largest * largest)));
  const auto noise = std::max(static_cast<float>(s * s / (largest * largest)), std::numeric_limits<float>::min());
  for (int64_t i = 0; i < n; ++i) {
    const float own = square[static_cast<size_t>(i)];
    add_pairs(square.data(), own, noise, 0, i, sums.data());
    add_pairs(square.data(), own, noise, i + 1, n, sums.data());
  }
  for (size_t j = 0; j < sigma.size(); ++j) {
    if (!(square[j] > 0)) continue;  // a vanished direction has no place to turn from
    const double leak = static_cast<double>(m - n) * static_cast<double>(noise) / static_cast<double>(square[j]);
    null.short_side[j] = std::min(1.0, static_cast<double>(sums[j]));
    null.long_side[j] = std::min(1.0, static_cast<double>(sums[j]) + leak);
  }
  return null;
}

}  // namespace gyro
