#include "gyro/diff/spread.h"

#include <gtest/gtest.h>

#include <cmath>

namespace gyro {
namespace {

TEST(Spread, QuantilesAreLinearBetweenNeighbours) {
  EXPECT_EQ(quantile({5}, 0.9), 5);
  EXPECT_DOUBLE_EQ(quantile({1, 2, 4}, 0.5), 2);
  EXPECT_DOUBLE_EQ(quantile({1, 2, 4}, 0.9), 3.6);
  EXPECT_DOUBLE_EQ(quantile({1, 2, 4}, 1), 4);
}

TEST(Spread, IsOfTheNumbers) {
  const double none = std::nan("");
  EXPECT_FALSE(spread_of({}));
  EXPECT_FALSE(spread_of({none, none}));
  const Spread spread = spread_of({none, 3, 1, 2, -9, none}).value();
  EXPECT_DOUBLE_EQ(spread.median, 1.5);
  EXPECT_DOUBLE_EQ(spread.low, -6);
  EXPECT_DOUBLE_EQ(spread.high, 2.7);
  EXPECT_EQ(spread.furthest, 4u);
  EXPECT_EQ(spread_of({1, 3}).value().furthest, 0u);  // of two as far, the first
}

}  // namespace
}  // namespace gyro
