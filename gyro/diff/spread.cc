#include "gyro/diff/spread.h"

#include <algorithm>
#include <cmath>

namespace gyro {

double quantile(const std::vector<double>& sorted, double share) {
  const double place = share * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<size_t>(place), above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (place - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

std::optional<Spread> spread_of(const std::vector<double>& values) {
  std::vector<double> sorted;
  for (const double value : values) {
    if (!std::isnan(value)) sorted.push_back(value);
  }
  if (sorted.empty()) return std::nullopt;
  std::sort(sorted.begin(), sorted.end());
  Spread spread{quantile(sorted, 0.5), quantile(sorted, 0.1), quantile(sorted, 0.9), 0};
  double most = -1;
  for (size_t i = 0; i < values.size(); ++i) {
    const double distance = std::abs(values[i] - spread.median);
    if (std::isnan(values[i]) || distance <= most) continue;
    most = distance;
    spread.furthest = i;
  }
  return spread;
}

}  // namespace gyro
