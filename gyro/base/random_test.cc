#include "gyro/base/random.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <vector>

namespace gyro {
namespace {

// SplitMix64's published outputs: the first of the stream of seed 0, and two of that of seed 1234567.
TEST(Mix64, PublishedValues) {
  EXPECT_EQ(mix64(0), 0xe220a8397b1dcdafu);
  EXPECT_EQ(mix64(1234567), 6457827717110365317u);
  EXPECT_EQ(mix64(1234567 + 0x9e3779b97f4a7c15u), 3203168211198807973u);
}

TEST(Mix64, SeparatesNeighbours) {
  std::set<uint64_t> seen;
  for (uint64_t i = 0; i < 4096; ++i) seen.insert(mix64(i));
  EXPECT_EQ(seen.size(), 4096u);
}

// Values of a xoshiro256++ written in Python and checked against the generator's published sequence from {1, 2, 3, 4};
// the state is four links of the chain s = mix64(s).
TEST(Random, FirstBits) {
  Random zero(0), answer(42);
  for (const uint64_t bits : {0x44339b21869f763du, 0x95cf0253ee167d21u, 0xb7a578be0561b430u, 0xe4f6dbdb82ccc59bu}) {
    EXPECT_EQ(zero.bits(), bits);
  }
  for (const uint64_t bits : {0xc757960b442b0ac3u, 0x4bb22a7f77ff8c6cu, 0x04950439d3c5eafeu, 0xb769fb44902f2dc2u}) {
    EXPECT_EQ(answer.bits(), bits);
  }
}

// The same for Marsaglia's polar method; log and sqrt may differ in their last bit between C libraries.
TEST(Random, FirstNormals) {
  Random random(42);
  for (const double x : {0.9804123362114753, -0.7187831758456703, -0.12382445875104282, -0.3038692371198466}) {
    EXPECT_NEAR(random.normal(), x, 4e-16);
  }
}

TEST(Random, NormalsAreScaledNormals) {
  Random a(7), b(7);
  std::vector<double> out(9);
  a.normals(out, 2.5);
  for (const double x : out) EXPECT_EQ(x, 2.5 * b.normal());
  EXPECT_EQ(a.bits(), b.bits());
}

/// The mean of f(draw) over `count` draws.
template <typename Draw, typename F>
double mean_of(int count, Draw draw, F f) {
  double sum = 0;
  for (int i = 0; i < count; ++i) sum += f(draw());
  return sum / count;
}

constexpr int kDraws = 200000;
const double kRoot = std::sqrt(double{kDraws});

// A mean of N draws of standard deviation d has the standard error d/√N; every tolerance below is 5 of them.
TEST(Random, UniformMoments) {
  Random random(1);
  const auto draw = [&] { return random.uniform(); };
  EXPECT_NEAR(mean_of(kDraws, draw, [](double x) { return x; }), 0.5, 5 * std::sqrt(1 / 12.0) / kRoot);
  // Var((x - 1/2)²) = 1/80 − 1/144
  EXPECT_NEAR(mean_of(kDraws, draw, [](double x) { return (x - 0.5) * (x - 0.5); }), 1 / 12.0,
              5 * std::sqrt(1 / 180.0) / kRoot);
  EXPECT_EQ(mean_of(kDraws, draw, [](double x) { return x >= 0 && x < 1 ? 1.0 : 0.0; }), 1);
}

// E x^p = 0, 1, 0, 3, with Var(x^p) = E x^2p − (E x^p)² = 1, 2, 15, 96.
TEST(Random, NormalMoments) {
  Random random(2);
  const double mean[] = {0, 1, 0, 3}, variance[] = {1, 2, 15, 96};
  for (int p = 1; p <= 4; ++p) {
    EXPECT_NEAR(mean_of(
                    kDraws, [&] { return random.normal(); }, [&](double x) { return std::pow(x, p); }),
                mean[p - 1], 5 * std::sqrt(variance[p - 1]) / kRoot)
        << "moment " << p;
  }
}

// Successive normals come in pairs from one point: their product must still have mean 0 (variance 1), their squares'
// product mean 1 (variance 8).
TEST(Random, NormalsAreIndependent) {
  Random random(3);
  const auto product = [&] {
    const double x = random.normal();
    return x * random.normal();
  };
  EXPECT_NEAR(mean_of(kDraws, product, [](double p) { return p; }), 0, 5 / kRoot);
  EXPECT_NEAR(mean_of(kDraws, product, [](double p) { return p * p; }), 1, 5 * std::sqrt(8.0) / kRoot);
}

// χ_d: E x = √2 Γ((d+1)/2)/Γ(d/2), E x² = d, E x⁴ = d(d + 2), Var(x²) = 2d, Var(x⁴) = d(d+2)(d+4)(d+6) − d²(d+2)².
TEST(Random, ChiMoments) {
  for (const double d : {0.5, 1.0, 2.0, 3.0, 10.0, 700.0}) {
    Random random(4);
    const auto draw = [&] { return random.chi(d); };
    const double mean = std::sqrt(2.0) * std::exp(std::lgamma((d + 1) / 2) - std::lgamma(d / 2));
    EXPECT_NEAR(mean_of(kDraws, draw, [](double x) { return x; }), mean, 5 * std::sqrt(d - mean * mean) / kRoot) << d;
    EXPECT_NEAR(mean_of(kDraws, draw, [](double x) { return x * x; }), d, 5 * std::sqrt(2 * d) / kRoot) << d;
    const double fourth = d * (d + 2), variance = fourth * ((d + 4) * (d + 6) - fourth);
    EXPECT_NEAR(mean_of(kDraws, draw, [](double x) { return x * x * x * x; }), fourth, 5 * std::sqrt(variance) / kRoot)
        << d;
  }
}

}  // namespace
}  // namespace gyro
