#pragma once

#include <cmath>
#include <cstdint>
#include <span>

#ifdef __CUDACC__
#define GYRO_HOST_DEVICE __host__ __device__
#else
#define GYRO_HOST_DEVICE
#endif

namespace gyro {

/// SplitMix64: a good 64-bit mixing of `x`; combine keys by chaining mix(mix(a) ^ b).
GYRO_HOST_DEVICE inline uint64_t mix64(uint64_t x) {
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

/// Reproducible random numbers (xoshiro256++): the same seed gives the same stream on every machine whose log and sqrt
/// are correctly rounded, and everywhere, GPUs included, to the last bits.
class Random {
 public:
  GYRO_HOST_DEVICE explicit Random(uint64_t seed) {
    for (uint64_t& word : state_) word = seed = mix64(seed);
  }

  GYRO_HOST_DEVICE uint64_t bits() {
    const uint64_t result = rotate(state_[0] + state_[3], 23) + state_[0];
    const uint64_t t = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= t;
    state_[3] = rotate(state_[3], 45);
    return result;
  }

  /// Uniform in [0, 1), 53 bits.
  GYRO_HOST_DEVICE double uniform() { return static_cast<double>(bits() >> 11) * 0x1p-53; }

  /// Standard normal (Marsaglia's polar method).
  GYRO_HOST_DEVICE double normal() {
    if (has_spare_) {
      has_spare_ = false;
      return spare_;
    }
    for (;;) {
      const double x = 2 * uniform() - 1;
      const double y = 2 * uniform() - 1;
      const double r = x * x + y * y;
      if (r >= 1 || r == 0) continue;
      const double scale = std::sqrt(-2 * std::log(r) / r);
      spare_ = y * scale;
      has_spare_ = true;
      return x * scale;
    }
  }

  /// out[i] = standard_deviation * normal().
  void normals(std::span<double> out, double standard_deviation) {
    for (double& x : out) x = standard_deviation * normal();
  }

  /// Chi-distributed with `degrees` > 0 degrees of freedom: the length of a normal vector (Marsaglia and Tsang's
  /// gamma).
  GYRO_HOST_DEVICE double chi(double degrees) {
    double shape = degrees / 2;
    double boost = 1;
    if (shape < 1) {  // gamma(a) = gamma(a + 1) U^(1/a)
      boost = std::pow(1 - uniform(), 1 / shape);
      shape += 1;
    }
    const double d = shape - 1.0 / 3;
    const double c = 1 / std::sqrt(9 * d);
    for (;;) {
      const double x = normal();
      const double root = 1 + c * x, v = root * root * root;
      if (v <= 0) continue;
      if (std::log(1 - uniform()) < 0.5 * x * x + d - d * v + d * std::log(v)) return std::sqrt(2 * d * v * boost);
    }
  }

 private:
  GYRO_HOST_DEVICE static uint64_t rotate(uint64_t x, int by) { return (x << by) | (x >> (64 - by)); }

  uint64_t state_[4];
  double spare_ = 0;
  bool has_spare_ = false;
};

}  // namespace gyro
