#pragma once

#include <cstdint>
#include <span>

namespace gyro {

/// SplitMix64: a good 64-bit mixing of `x`; combine keys by chaining mix(mix(a) ^ b).
uint64_t mix64(uint64_t x);

/// Reproducible random numbers (xoshiro256++): the same seed gives the same stream on every machine whose log and sqrt
/// are correctly rounded, and everywhere to the last bits.
class Random {
 public:
  explicit Random(uint64_t seed);
  uint64_t bits();
  /// Uniform in [0, 1), 53 bits.
  double uniform();
  /// Standard normal (Marsaglia's polar method).
  double normal();
  /// out[i] = standard_deviation * normal().
  void normals(std::span<double> out, double standard_deviation);
  /// Chi-distributed with `degrees` > 0 degrees of freedom: the length of a normal vector (Marsaglia and Tsang's
  /// gamma).
  double chi(double degrees);

 private:
  uint64_t state_[4];
  double spare_ = 0;
  bool has_spare_ = false;
};

}  // namespace gyro
