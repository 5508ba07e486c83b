#include "gyro/report/curves.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "gyro/base/random.h"
#include "gyro/linalg/linalg.h"

namespace gyro {
namespace {

TEST(Bins, EvenBinsCoverAllOnce) {
  for (const int64_t n : {1, 2, 7, 512, 513, 4096}) {
    const auto edges = even_bins(n, 512);
    EXPECT_EQ(edges.front(), 0);
    EXPECT_EQ(edges.back(), n);
    EXPECT_EQ(static_cast<int64_t>(edges.size()) - 1, std::min<int64_t>(n, 512));
    for (size_t i = 1; i < edges.size(); ++i) EXPECT_LT(edges[i - 1], edges[i]);
  }
}

TEST(Bins, LogBinsCoverAllAndKeepTheFirstValuesAlone) {
  for (const int64_t n : {1, 5, 128, 512, 1000, 4096, 14336}) {
    for (const int64_t limit : {32, 128, 512}) {
      const auto edges = log_bins(n, limit);
      EXPECT_EQ(edges.front(), 0);
      EXPECT_EQ(edges.back(), n);
      EXPECT_LE(static_cast<int64_t>(edges.size()) - 1, limit);
      for (size_t i = 1; i < edges.size(); ++i) EXPECT_LT(edges[i - 1], edges[i]);
      if (n <= limit) {
        EXPECT_EQ(static_cast<int64_t>(edges.size()) - 1, n);
      }
      if (limit == 512) {
        for (size_t i = 0; i < std::min<size_t>(20, edges.size()); ++i) EXPECT_EQ(edges[i], static_cast<int64_t>(i));
      }
    }
  }
}

TEST(Bins, MeansLeaveOutWhatIsNotFinite) {
  const double nan = std::numeric_limits<double>::quiet_NaN(), inf = std::numeric_limits<double>::infinity();
  const auto means = bin_means({1, 2, nan, 4, inf, nan, 7}, {0, 2, 4, 6, 7});
  ASSERT_EQ(means.size(), 4U);
  EXPECT_EQ(means[0], 1.5F);
  EXPECT_EQ(means[1], 4.0F);
  EXPECT_TRUE(std::isnan(means[2]));
  EXPECT_EQ(means[3], 7.0F);
}

TEST(TurnNull, FollowsItsFormula) {
  const std::vector<double> sigma = {9, 5, 4.9, 2, 0.5};
  const double s = 0.03;
  const int64_t m = 12;
  const TurnNull null = turn_null(sigma, m, s);
  for (size_t j = 0; j < sigma.size(); ++j) {
    double expected = 0;
    for (size_t i = 0; i < sigma.size(); ++i) {
      if (i == j) continue;
      const double a = sigma[i] * sigma[i], b = sigma[j] * sigma[j];
      const double f = s * s * (a + b) / ((a - b) * (a - b));
      expected += f / (1 + 2 * f);
    }
    // FP32 squares: a gap of 1 in 25 keeps about five digits.
    EXPECT_NEAR(null.short_side[j], expected, 1e-4 * expected) << j;
    const double leak = static_cast<double>(m - 5) * s * s / (sigma[j] * sigma[j]);
    EXPECT_NEAR(null.long_side[j], expected + leak, 1e-4 * (expected + leak)) << j;
  }
}

TEST(TurnNull, EdgesOfItsRange) {
  EXPECT_TRUE(turn_null({}, 0, 0.1).short_side.empty());
  EXPECT_EQ(turn_null({0, 0}, 3, 0.1).short_side, (std::vector<double>{1, 1}));
  EXPECT_EQ(turn_null({2, 1}, 3, std::numeric_limits<double>::quiet_NaN()).short_side, (std::vector<double>{1, 1}));
  // No change: nothing turns, unless directions are not defined.
  EXPECT_LT(turn_null({2, 1}, 3, 0).long_side[0], 1e-30);
  // Equal singular values: the pair mixes wholly, half of each direction on average.
  EXPECT_NEAR(turn_null({1, 1}, 2, 1e-6).short_side[0], 0.5, 1e-6);
  for (const double turn : turn_null({3, 2, 1, 0.01}, 400, 0.5).long_side) EXPECT_LE(turn, 1);
}

// Against drawing the noise: W = [Σ; 0] + s G has U_b and V_b the first unit vectors. 400 draws of a turn whose spread
// is about its size (a sum of few squares) give its mean to some 8 % (one sd); first order is good to a few percent
// here.
TEST(TurnNull, MeetsDraws) {
  const int64_t m = 48, n = 16;
  const double s = 0.02;
  std::vector<double> sigma;
  for (int64_t j = 0; j < n; ++j) sigma.push_back(4.0 - 0.2 * static_cast<double>(j));
  const TurnNull null = turn_null(sigma, m, s);
  std::vector<double> turn_u(n, 0), turn_v(n, 0);
  constexpr int kDraws = 400;
  Random random(1);
  for (int draw = 0; draw < kDraws; ++draw) {
    Matrix w(m, n);
    random.normals({w.data(), static_cast<size_t>(m * n)}, s);
    for (int64_t j = 0; j < n; ++j) w(j, j) += sigma[static_cast<size_t>(j)];
    const linalg::Svd svd = linalg::svd(std::move(w));
    for (int64_t j = 0; j < n; ++j) {
      turn_u[static_cast<size_t>(j)] += (1 - svd.u(j, j) * svd.u(j, j)) / kDraws;
      turn_v[static_cast<size_t>(j)] += (1 - svd.v(j, j) * svd.v(j, j)) / kDraws;
    }
  }
  double drawn_u = 0, drawn_v = 0, expected_u = 0, expected_v = 0;
  for (size_t j = 0; j < turn_u.size(); ++j) {
    EXPECT_NEAR(turn_u[j] / null.long_side[j], 1, 0.3) << j;
    EXPECT_NEAR(turn_v[j] / null.short_side[j], 1, 0.3) << j;
    drawn_u += turn_u[j], drawn_v += turn_v[j], expected_u += null.long_side[j], expected_v += null.short_side[j];
  }
  EXPECT_NEAR(drawn_u / expected_u, 1, 0.05);
  EXPECT_NEAR(drawn_v / expected_v, 1, 0.05);
}

}  // namespace
}  // namespace gyro
