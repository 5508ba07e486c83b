#include "gyro/probe/temperature.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

namespace gyro {
namespace {

constexpr double kLargestBeta = 1e6;
constexpr int kMostSteps = 200;  // 60 halvings suffice; Newton takes about five

// KL(p ‖ q_T) of one row and its derivatives.
TemperatureLoss row_loss(const TemperatureRow& row, double beta) {
  const double top = *std::ranges::max_element(row.log_q);
  double sum = 0, mean = 0, square = 0, target = 0, negative_entropy = 0;
  for (size_t i = 0; i < row.p.size(); ++i) {
    const double log_q = row.log_q[i] - top, weight = std::exp(beta * log_q);
    sum += weight;
    mean += weight * log_q;
    square += weight * log_q * log_q;
    target += row.p[i] * log_q;
    if (row.p[i] > 0) negative_entropy += row.p[i] * std::log(row.p[i]);
  }
  mean /= sum;
  return {negative_entropy - beta * target + std::log(sum), mean - target, std::max(square / sum - mean * mean, 0.0)};
}

// The β of the least loss; NaN where there is none in (0, kLargestBeta].
double fitted_beta(std::span<const TemperatureRow> rows) {
  constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
  double low = 0, high = 1;
  if (!(temperature_loss(rows, 0).slope < 0) || !(temperature_loss(rows, kLargestBeta).slope > 0)) return kNone;
  while (temperature_loss(rows, high).slope < 0) {
    low = high;
    high *= 2;
  }
  double beta = std::clamp(1.0, low, high);
  for (int i = 0; i < kMostSteps; ++i) {
    const TemperatureLoss loss = temperature_loss(rows, beta);
    (loss.slope < 0 ? low : high) = beta;
    const double newton = beta - loss.slope / loss.curvature;
    const double next = newton > low && newton < high ? newton : (low + high) / 2;
    const double step = std::abs(next - beta);
    beta = next;
    if (step <= 1e-12 * beta) break;
  }
  return beta;
}

// √(G/(G−1) Σ_g s_g²) / Σ h of the G heads' slopes s_g and all rows' curvatures h, times |dT/dβ| = T².
double standard_error(std::span<const TemperatureRow> rows, double beta) {
  std::map<int64_t, double> slopes;
  double curvature = 0;
  for (const TemperatureRow& row : rows) {
    const TemperatureLoss loss = row_loss(row, beta);
    slopes[row.head] += loss.slope;
    curvature += loss.curvature;
  }
  const auto heads = static_cast<double>(slopes.size());
  if (heads < 2) return std::numeric_limits<double>::quiet_NaN();
  double squares = 0;
  for (const auto& [head, slope] : slopes) squares += slope * slope;
  return std::sqrt(heads / (heads - 1) * squares) / curvature / (beta * beta);
}

}  // namespace

TemperatureRow temperature_row(std::span<const float> q, std::span<const float> p, int64_t head) {
  TemperatureRow row;
  row.head = head;
  const double sum = std::accumulate(p.begin(), p.end(), 0.0);
  for (const float value : p) row.p.push_back(static_cast<double>(value) / sum);
  for (const float value : q) row.log_q.push_back(std::max(std::log(static_cast<double>(value)), kLeastLog));
  return row;
}

TemperatureLoss temperature_loss(std::span<const TemperatureRow> rows, double beta) {
  TemperatureLoss out;
  for (const TemperatureRow& row : rows) {
    const TemperatureLoss loss = row_loss(row, beta);
    out.value += loss.value;
    out.slope += loss.slope;
    out.curvature += loss.curvature;
  }
  for (double* part : {&out.value, &out.slope, &out.curvature}) *part /= static_cast<double>(rows.size());
  return out;
}

TemperatureFit fit_temperature(std::span<const TemperatureRow> rows, double expected) {
  TemperatureFit fit;
  for (const TemperatureRow& row : rows) fit.underflows += std::ranges::count(row.log_q, kLeastLog);
  fit.kl = std::max(temperature_loss(rows, 1).value, 0.0);
  if (!std::isnan(expected)) fit.kl_expected = std::max(temperature_loss(rows, 1 / expected).value, 0.0);
  const double beta = fitted_beta(rows);
  if (std::isnan(beta)) return fit;
  fit.temperature = 1 / beta;
  fit.temperature_se = standard_error(rows, beta);
  fit.kl_fitted = std::max(temperature_loss(rows, beta).value, 0.0);
  if (fit.kl >= kLeastKl) fit.explained = 1 - fit.kl_fitted / fit.kl;
  return fit;
}

BlockFit fit_block(std::span<const LastRows> q, std::span<const LastRows> p, std::span<const int64_t> keys,
                   size_t block, double expected) {
  BlockFit out;
  std::vector<TemperatureRow> all;
  for (int64_t head = 0; head < p.front().heads; ++head) {
    const size_t first = all.size();
    for (size_t i = 0; i < p.size(); ++i) {
      const auto seen = static_cast<size_t>(keys[i]);
      all.push_back(temperature_row(q[i].row(block, head).last(seen), p[i].row(block, head).last(seen), head));
    }
    out.heads.push_back(fit_temperature(std::span(all).subspan(first)));
  }
  out.all = fit_temperature(all, expected);
  return out;
}

}  // namespace gyro
