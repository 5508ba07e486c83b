#include "gyro/probe/block_weights.h"

#include <gtest/gtest.h>

#include <cmath>

namespace gyro {
namespace {

MatrixRow row_of(int64_t layer, MatrixType type, double nf, double null) {
  MatrixRow row;
  row.layer = layer;
  row.type = type;
  row.k = row.n = 9;
  row.nf = nf;
  row.nf_robust = nf / 2;
  row.null.valid = true;
  row.null.nf = null;
  row.alpha_mean = 1 + nf;
  row.alpha_std = 0.1;
  row.scale = 1;
  row.relative_change = 10 * nf;
  row.energy.total = 1;
  row.energy.co_rotation = nf;
  row.energy.counter_rotation = 2 * nf;
  row.energy.counter_over_co = 2;
  return row;
}

TEST(BlockWeights, PoolWhatBelongsToABlock) {
  using enum MatrixType;
  std::vector<MatrixRow> rows = {row_of(0, Q, 0.01, 0.02), row_of(0, Down, 0.03, 0.02), row_of(0, QKV, 9, 9),
                                 row_of(2, O, 0.05, 0.05)};
  rows[1].energy.counter_rotation = 0.01;
  rows[3].null.valid = false;
  const std::vector<BlockWeights> blocks = block_weights(rows, 3);
  ASSERT_EQ(blocks.size(), 3U);
  EXPECT_EQ(blocks[0].matrices, 2);
  EXPECT_NEAR(blocks[0].nf_mean, 0.02, 1e-12);
  EXPECT_NEAR(blocks[0].nf_robust_mean, 0.01, 1e-12);
  EXPECT_NEAR(blocks[0].nf_over_null, 1, 1e-12);
  EXPECT_NEAR(blocks[0].alpha_mean, 1.02, 1e-12);
  EXPECT_NEAR(blocks[0].relative_change, 0.2, 1e-12);
  EXPECT_NEAR(blocks[0].counter_over_co, 0.03 / 0.04, 1e-12);  // of summed energies
  EXPECT_EQ(blocks[1].matrices, 0);
  EXPECT_TRUE(std::isnan(blocks[1].relative_change));
  EXPECT_NEAR(blocks[2].nf_mean, 0.05, 1e-12);
  EXPECT_TRUE(std::isnan(blocks[2].nf_over_null));
}

}  // namespace
}  // namespace gyro
