#include "gyro/spectra/noise_spectrum.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <mutex>
#include <numbers>
#include <numeric>

#include "gyro/base/random.h"
#include "gyro/linalg/linalg.h"
#include "gyro/spectra/measure_quantities.h"
#include "gyro/spectra/moments.h"

namespace gyro {
namespace {

constexpr int kFigures = 6;
using Figures = std::array<double, kFigures>;  // as UpdateSpectrum has them

int64_t count_to(const std::vector<double>& squares, double share, double total) {
  double sum = 0;
  for (size_t j = 0; j < squares.size(); ++j) {
    sum += squares[j];
    if (sum >= share * total) return static_cast<int64_t>(j + 1);
  }
  return static_cast<int64_t>(squares.size());
}

// Of squares, descending.
Figures figures_of(const std::vector<double>& squares, int64_t m, double error) {
  const auto n = static_cast<int64_t>(squares.size());
  std::vector<double> sigma;
  for (const double square : squares) sigma.push_back(std::sqrt(square));
  const double total = std::accumulate(squares.begin(), squares.end(), 0.0);
  const double middle = 0.5 * (sigma[static_cast<size_t>((n - 1) / 2)] + sigma[static_cast<size_t>(n / 2)]);
  const auto rows = static_cast<double>(m), columns = static_cast<double>(n);
  const double deviation = middle / std::sqrt(rows * marchenko_pastur_median(columns / rows));
  const double edge = std::max(deviation * (std::sqrt(rows) + std::sqrt(columns)), std::sqrt(error));
  const auto first = std::min<int64_t>(16, n);
  return {effective_rank(sigma),
          static_cast<double>(count_to(squares, 0.9, total)),
          static_cast<double>(count_to(squares, 0.99, total)),
          squares[0] / total,
          std::accumulate(squares.begin(), squares.begin() + first, 0.0) / total,
          static_cast<double>(std::count_if(sigma.begin(), sigma.end(), [&](double s) { return s > edge; }))};
}

std::array<Moments, kFigures> draw_figures(int64_t m, int64_t n) {
  std::array<Moments, kFigures> out;
  const int64_t draws = std::clamp<int64_t>((int64_t{1} << 22) / (n * n), 16, 64);
  for (int64_t i = 0; i < draws; ++i) {
    std::vector<double> squares = gaussian_singular_values(m, n, mix64(static_cast<uint64_t>(i)));
    for (double& s : squares) s *= s;
    const Figures figures = figures_of(squares, m, 0);
    for (size_t f = 0; f < figures.size(); ++f) out[f].add(figures[f]);
  }
  return out;
}

// Those of a shape are drawn once, or by each of the threads that ask first.
std::array<Moments, kFigures> noise_figures(int64_t m, int64_t n) {
  static std::mutex mutex;
  static std::map<std::pair<int64_t, int64_t>, std::array<Moments, kFigures>> known;
  {
    const std::lock_guard lock(mutex);
    if (const auto found = known.find({m, n}); found != known.end()) return found->second;
  }
  const std::array<Moments, kFigures> drawn = draw_figures(m, n);
  const std::lock_guard lock(mutex);
  return known.try_emplace({m, n}, drawn).first->second;
}

}  // namespace

std::vector<double> gaussian_singular_values(int64_t m, int64_t n, uint64_t seed) {
  Random random(seed);
  std::vector<double> diagonal(static_cast<size_t>(n)), off(static_cast<size_t>(n - 1));
  double above = 0;
  for (int64_t i = 0; i < n; ++i) {  // BᵀB of the upper bidiagonal B: its rows one by one
    const auto at = static_cast<size_t>(i);
    const double d = random.chi(static_cast<double>(m - i));
    diagonal[at] = d * d + above * above;
    if (i + 1 == n) break;
    above = random.chi(static_cast<double>(n - 1 - i));
    off[at] = d * above;
  }
  std::vector<double> values = linalg::tridiagonal_eigenvalues(std::move(diagonal), std::move(off));
  for (double& value : values) value = std::sqrt(std::max(value, 0.0));
  return values;
}

double marchenko_pastur_median(double ratio) {
  // With λ = 1 + β + 2√β cos θ the law is 2 sin²θ / (π λ) dθ.
  constexpr int kSteps = 20000;
  const double radius = 2 * std::sqrt(ratio), step = std::numbers::pi / kSteps;
  double sum = 0;
  for (int i = 0; i < kSteps; ++i) {
    const double theta = std::numbers::pi - (i + 0.5) * step, lambda = 1 + ratio + radius * std::cos(theta);
    const double density = 2 * std::pow(std::sin(theta), 2) / (std::numbers::pi * lambda) * step;
    if (sum + density >= 0.5) {
      const double exact = std::numbers::pi - (i + (0.5 - sum) / density) * step;
      return 1 + ratio + radius * std::cos(exact);
    }
    sum += density;
  }
  return 1 + ratio + radius;
}

UpdateSpectrum update_spectrum(std::vector<double> squares, int64_t m, double error) {
  const auto n = static_cast<int64_t>(squares.size());
  for (double& square : squares) square = std::max(square, 0.0);
  std::sort(squares.rbegin(), squares.rend());
  if (squares.empty() || !(squares[0] > 0)) return {};
  const Figures figures = figures_of(squares, m, error);
  const std::array<Moments, kFigures> noise = noise_figures(m, n);
  const auto beside = [&](size_t f) { return Against{figures[f], noise[f].mean(), noise[f].sample_deviation()}; };
  UpdateSpectrum out{beside(0), beside(1), beside(2), beside(3), beside(4), beside(5)};
  // No spike in any draw is not a null without a spread.
  out.spikes.sd = std::hypot(out.spikes.sd, 1 / std::sqrt(static_cast<double>(noise[5].count())));
  return out;
}

}  // namespace gyro
