#pragma once

#include <cstddef>
#include <optional>
#include <vector>

namespace gyro {

/// The value below which `share` (0 to 1) of a sorted list lies, linear between neighbours. The list is not empty.
double quantile(const std::vector<double>& sorted, double share);

/// How figures spread: median and deciles, and the number in the list of the one furthest from the median.
struct Spread {
  double median = 0, low = 0, high = 0;
  size_t furthest = 0;
};

/// Of those that are numbers; nothing where none is. Of several that are as far, the first.
std::optional<Spread> spread_of(const std::vector<double>& values);

}  // namespace gyro
