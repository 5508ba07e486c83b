#pragma once

#include <array>
#include <cstddef>

namespace gyro {

/// Sums side by side, of which a processor adds several at once; in the same order on all of them.
inline constexpr size_t kLanes = 8;
using LaneSums = std::array<double, kLanes>;

inline double total(const LaneSums& lanes) {
  return ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) + ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]));
}

}  // namespace gyro
