#pragma once

#include <cstdint>

#include "gyro/base/random.h"

namespace gyro::linalg {

/// The values that a binary floating-point dtype can store, but for its largest: multiples of
/// 2^(max(e, least_exponent) − mantissa_bits), where 2^e is the power of two below the value. By itself FP64's.
struct Grid {
  int mantissa_bits = 52, least_exponent = -1022;
};

/// Whether the FP64 value of these bits is one of them. Zero is.
GYRO_HOST_DEVICE inline bool is_on(const Grid& grid, uint64_t bits) {
  constexpr uint64_t kOne = uint64_t{1} << 52;
  const int biased = static_cast<int>(bits >> 52 & 2047), exponent = (biased > 0 ? biased : 1) - 1023;
  const uint64_t significand = (bits & (kOne - 1)) | (biased > 0 ? kOne : 0);
  const int below = exponent < grid.least_exponent ? grid.least_exponent - exponent : 0;
  const int zeros = 52 - grid.mantissa_bits + below;  // low bits that have to be
  return significand == 0 || (zeros < 53 && (significand & ((uint64_t{1} << zeros) - 1)) == 0);
}

}  // namespace gyro::linalg
