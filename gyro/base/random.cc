#include "gyro/base/random.h"

#include <bit>
#include <cmath>

namespace gyro {

uint64_t mix64(uint64_t x) {
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

Random::Random(uint64_t seed) {
  for (uint64_t& word : state_) word = seed = mix64(seed);
}

uint64_t Random::bits() {
  const uint64_t result = std::rotl(state_[0] + state_[3], 23) + state_[0];
  const uint64_t t = state_[1] << 17;
  state_[2] ^= state_[0];
  state_[3] ^= state_[1];
  state_[1] ^= state_[2];
  state_[0] ^= state_[3];
  state_[2] ^= t;
  state_[3] = std::rotl(state_[3], 45);
  return result;
}

double Random::uniform() {
  return static_cast<double>(bits() >> 11) * 0x1p-53;
}

double Random::normal() {
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

void Random::normals(std::span<double> out, double standard_deviation) {
  for (double& x : out) x = standard_deviation * normal();
}

double Random::chi(double degrees) {
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
    const double v = std::pow(1 + c * x, 3);
    if (v <= 0) continue;
    if (std::log(1 - uniform()) < 0.5 * x * x + d - d * v + d * std::log(v)) return std::sqrt(2 * d * v * boost);
  }
}

}  // namespace gyro
