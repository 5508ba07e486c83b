#include "gyro/infer/sampler.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "gyro/base/test_util.h"

namespace gyro {
namespace {

std::vector<float> logits_of(const std::vector<double>& probabilities) {
  std::vector<float> out;
  for (const double p : probabilities) out.push_back(static_cast<float>(std::log(p)));
  return out;
}

std::vector<double> frequencies(const std::vector<float>& logits, const SamplerOptions& options, int draws) {
  std::vector<double> out(logits.size());
  for (int i = 0; i < draws; ++i) out[static_cast<size_t>(sample(logits, options, 3, static_cast<uint64_t>(i)))] += 1;
  for (double& frequency : out) frequency /= draws;
  return out;
}

// Six standard deviations of a frequency.
double bound(double p, int draws) {
  return 6 * std::sqrt(p * (1 - p) / draws);
}

TEST(Sampler, DrawsTheDistribution) {
  const std::vector<double> p = {0.5, 0.05, 0.3, 0.15};
  constexpr int kDraws = 40000;
  const std::vector<double> found = frequencies(logits_of(p), {1, 1, 0}, kDraws);
  for (size_t i = 0; i < p.size(); ++i) EXPECT_NEAR(found[i], p[i], bound(p[i], kDraws));
}

TEST(Sampler, TemperatureSharpens) {
  // p^2 over its sum, at temperature 1/2.
  constexpr int kDraws = 40000;
  const std::vector<double> found = frequencies(logits_of({0.6, 0.4}), {0.5, 1, 0}, kDraws);
  EXPECT_NEAR(found[0], 0.36 / 0.52, bound(0.36 / 0.52, kDraws));
}

TEST(Sampler, TopPKeepsTheFewestThatHaveIt) {
  constexpr int kDraws = 20000;
  const std::vector<float> logits = logits_of({0.05, 0.5, 0.15, 0.3});
  const std::vector<double> two = frequencies(logits, {1, 0.75, 0}, kDraws);
  EXPECT_EQ(two[0], 0);
  EXPECT_EQ(two[2], 0);
  EXPECT_NEAR(two[1], 0.625, bound(0.625, kDraws));
  const std::vector<double> three = frequencies(logits, {1, 0.9, 0}, kDraws);
  EXPECT_EQ(three[0], 0);
  EXPECT_NEAR(three[2], 0.15 / 0.95, bound(0.15 / 0.95, kDraws));
  EXPECT_EQ(frequencies(logits, {1, 0.4, 0}, 100)[1], 1);
}

TEST(Sampler, ALongTailIsSortedAsFarAsItMatters) {
  std::vector<float> logits(5000, 0);  // all alike: the first 60 % of ids are kept
  constexpr int kDraws = 1000;
  const std::vector<double> found = frequencies(logits, {1, 0.6, 0}, kDraws);
  double kept = 0;
  for (size_t i = 0; i < 3000; ++i) kept += found[i];
  EXPECT_NEAR(kept, 1, 1e-9);
  double second_half = 0;
  for (size_t i = 1500; i < 3000; ++i) second_half += found[i];
  EXPECT_NEAR(second_half, 0.5, bound(0.5, kDraws));
}

TEST(Sampler, TemperatureZeroTakesTheFirstOfTheLikeliest) {
  EXPECT_EQ(sample(std::vector<float>{1, 3, 3, 2}, {0, 0.95, 7}, 1, 1), 1);
}

TEST(Sampler, NumbersHangOnSeedStreamAndStepOnly) {
  const std::vector<float> logits(1000, 0);
  const auto draw = [&](uint64_t seed, uint64_t stream, uint64_t step) {
    return sample(logits, {1, 1, seed}, stream, step);
  };
  EXPECT_EQ(draw(1, 2, 3), draw(1, 2, 3));
  int same = 0;
  for (uint64_t i = 0; i < 100; ++i) {
    same += draw(1, 2, i) == draw(2, 2, i);
    same += draw(1, 2, i) == draw(1, 3, i);
    same += draw(1, i, i + 1) == draw(1, i + 1, i);
  }
  EXPECT_LT(same, 10) << "of 300, where chance gives 0.3";
}

TEST(Sampler, LogProbabilitiesAreThoseOfSoftmax) {
  const std::vector<double> p = {0.5, 0.05, 0.3, 0.15};
  for (size_t i = 0; i < p.size(); ++i) {
    EXPECT_NEAR(log_probability(logits_of(p), static_cast<int32_t>(i)), std::log(p[i]), 1e-6);
  }
}

TEST(Sampler, LogitsThatAreNoNumbersAreAnError) {
  const float nan = std::numeric_limits<float>::quiet_NaN(), infinity = std::numeric_limits<float>::infinity();
  for (const std::vector<float>& logits :
       {std::vector<float>{0, nan}, {nan, 0}, {0, infinity}, {-infinity, -infinity}}) {
    EXPECT_EQ(error_of([&] { sample(logits, {}, 0, 0); }), "model: its logits are not finite numbers");
  }
  EXPECT_EQ(sample(std::vector<float>{-infinity, 1}, {}, 0, 0), 1);
}

}  // namespace
}  // namespace gyro
