#include "gyro/probe/divergence.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "gyro/base/random.h"

namespace gyro {
namespace {

std::vector<double> logits(size_t count, uint64_t seed, double deviation) {
  std::vector<double> out(count);
  Random(seed).normals(out, deviation);
  return out;
}

// Σ p ln(p/q) of probabilities.
double kl_by_probabilities(const std::vector<double>& p, const std::vector<double>& q) {
  double sum_p = 0, sum_q = 0, kl = 0;
  for (size_t i = 0; i < p.size(); ++i) {
    sum_p += std::exp(p[i]);
    sum_q += std::exp(q[i]);
  }
  for (size_t i = 0; i < p.size(); ++i) {
    kl += std::exp(p[i]) / sum_p * std::log(std::exp(p[i]) / sum_p / (std::exp(q[i]) / sum_q));
  }
  return kl;
}

TEST(Divergence, IsThatOfTheProbabilities) {
  const std::vector<double> p = logits(50, 1, 2), q = logits(50, 2, 3);
  Divergence whole;
  whole.add(0, p.data(), q.data(), 50);
  EXPECT_NEAR(whole.kl(), kl_by_probabilities(p, q), 1e-12);
  EXPECT_FALSE(whole.same_top());
}

TEST(Divergence, IsTheSameInPieces) {
  const std::vector<double> p = logits(60, 3, 2), q = logits(60, 4, 200);
  Divergence whole, begin, end;
  whole.add(0, p.data(), q.data(), 60);
  begin.add(0, p.data(), q.data(), 7);
  begin.add(7, p.data() + 7, q.data() + 7, 13);
  end.add(20, p.data() + 20, q.data() + 20, 40);
  end.merge(begin);
  end.merge(Divergence());
  EXPECT_NEAR(end.kl(), whole.kl(), 1e-10 * whole.kl());
  EXPECT_EQ(end.same_top(), whole.same_top());
}

TEST(Divergence, OfTheSameIsNone) {
  const std::vector<double> p = logits(40, 5, 30);
  std::vector<double> shifted = p;
  for (double& z : shifted) z += 1000;
  Divergence divergence;
  divergence.add(0, p.data(), shifted.data(), 40);
  EXPECT_NEAR(divergence.kl(), 0, 1e-11);
  EXPECT_GE(divergence.kl(), 0);
  EXPECT_TRUE(divergence.same_top());
}

TEST(Divergence, TakesTheFirstOfEqualTokens) {
  const std::vector<double> p = {1, 5, 0, 5}, q = {1, 0, 0, 5};
  Divergence whole, later, earlier;
  whole.add(0, p.data(), p.data(), 4);
  EXPECT_TRUE(whole.same_top());
  later.add(2, p.data() + 2, q.data() + 2, 2);
  earlier.add(0, p.data(), q.data(), 2);
  later.merge(earlier);  // p's is 1, q's 3
  EXPECT_FALSE(later.same_top());
  EXPECT_TRUE(std::isnan(Divergence().kl()));
}

}  // namespace
}  // namespace gyro
