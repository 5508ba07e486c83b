#include "gyro/probe/rotations.h"

#include <gtest/gtest.h>

#include <cmath>

#include "gyro/base/test_util.h"

namespace gyro {
namespace {

// Rows in which all is as chance has it; scattered a little, so that deviations are defined.
std::vector<RotationRow> chance_rows() {
  std::vector<RotationRow> rows;
  for (int64_t layer = 0; layer < 6; ++layer) {
    for (const MatrixType type : {MatrixType::Q, MatrixType::Down}) {
      RotationRow row{{layer, type, -1}, type == MatrixType::Q ? 100 : 300, 100, {}};
      RotationPair& pair = row.pair;
      const double wobble = 0.01 * static_cast<double>(layer % 3 - 1);
      for (TurnMeasure* turn : {&pair.post, &pair.other}) {
        *turn = {0.99, 0.1, 1e-14, 1e-14, 0.4 + wobble, 0.4, {}};
        if (type == MatrixType::Down) turn->q1_orthogonality = 0.02;
      }
      pair.shared = {.distance = 0.5 + wobble,
                     .turn_correlation = 0.1,
                     .turn_correlation_sd = 0.014,
                     .change_correlation = 0.1 + wobble,
                     .difference = type == MatrixType::Q ? 1.0 : 2.0,
                     .carry_error = std::sqrt(0.5),
                     .carry_error_kept = std::sqrt(0.6),
                     .explained = 0.5,
                     .explained_by_chance = 0.49,
                     .explained_sd = 0.006};
      pair.null = pair.shared;
      pair.null.distance = 0.5 - wobble;
      rows.push_back(row);
    }
  }
  return rows;
}

std::string all_of(const RotationComparison& comparison) {
  std::string text;
  for (const std::string& sentence : rotation_sentences(comparison, "sft", "rl")) text += sentence + "\n";
  return text;
}

TEST(PoolRotations, PoolsByDefinition) {
  std::vector<RotationRow> rows = chance_rows();
  for (RotationRow& row : rows) {
    if (row.key.type != MatrixType::Down) continue;
    row.pair.shared.explained = 0.25;
    row.pair.shared.explained_by_chance = 0.2;
  }
  rows[0].pair.shared.turn_correlation = kNotDefined;
  rows[0].pair.shared.change_correlation = 7;  // not counted without the other
  const RotationComparison comparison = pool_rotations(rows, 1);
  ASSERT_EQ(comparison.types.size(), 2U);
  EXPECT_EQ(comparison.types[0].type, MatrixType::Q);
  EXPECT_EQ(comparison.types[1].matrices, 6);
  EXPECT_EQ(comparison.all.matrices, 12);
  EXPECT_NEAR(comparison.all.shared.distance, 0.5, 1e-12);
  EXPECT_NEAR(comparison.all.shared.explained, (0.5 + 4 * 0.25) / 5, 1e-12);  // by squared differences
  EXPECT_NEAR(comparison.all.shared.carry_error, std::sqrt(1 - comparison.all.shared.explained), 1e-12);
  EXPECT_NEAR(comparison.all.shared.explained_by_chance, (0.49 + 4 * 0.2) / 5, 1e-12);
  EXPECT_NEAR(comparison.all.shared.explained_sd, std::sqrt(6 * (1 + 16)) * 0.006 / 30, 1e-12);
  EXPECT_NEAR(comparison.all.shared.turn_correlation, 0.1, 1e-12);
  EXPECT_LT(comparison.all.shared.change_correlation, 0.12);
  EXPECT_NEAR(comparison.types[0].shared.turn_correlation_sd, 0.014 / std::sqrt(5.0), 1e-12);
  EXPECT_NEAR(comparison.types[1].post.q1_orthogonality, 0.02, 1e-12);
}

TEST(PoolRotations, WhatIsAsChanceHasIt) {
  const RotationComparison comparison = pool_rotations(chance_rows(), 1);
  EXPECT_FALSE(comparison.verdicts.unrelated);
  EXPECT_EQ(comparison.verdicts.distance, Standing::AsNull);
  EXPECT_EQ(comparison.verdicts.turns, Standing::AsNull);
  EXPECT_EQ(comparison.verdicts.carried, Standing::AsNull);
  const std::string text = all_of(comparison);
  EXPECT_TRUE(contains(text, "on the long one, of 6 matrices that are not square, ‖QᵀQ − I‖/√n is 0.0200 for sft"));
  EXPECT_TRUE(contains(text, "a noise post of rl's size is about as far from sft"));
  EXPECT_TRUE(contains(text,
                       "explains 50.0 % of it; 50.0 % of a noise post. Independent sides give 49.0 % and 49.0 %: "
                       "that it is carried is no evidence of a shared rotation."));
}

TEST(PoolRotations, WhatIsBeyondChance) {
  std::vector<RotationRow> rows = chance_rows();
  for (RotationRow& row : rows) {
    row.pair.shared.distance *= 0.8;
    row.pair.shared.turn_correlation = 0.3;
    row.pair.shared.explained = 0.6;
  }
  const RotationComparison near = pool_rotations(rows, 1);
  EXPECT_EQ(near.verdicts.distance, Standing::Below);
  EXPECT_EQ(near.verdicts.turns, Standing::Above);
  EXPECT_EQ(near.verdicts.carried, Standing::Above);
  EXPECT_TRUE(contains(all_of(near), "share more of their turns than of their changes"));
  EXPECT_TRUE(contains(all_of(near), "more than chance is carried"));
  for (RotationRow& row : rows) {
    row.pair.shared.distance *= 2;
    row.pair.shared.turn_correlation = -0.1;
    row.pair.shared.explained = 0.4;
  }
  const RotationComparison far = pool_rotations(rows, 1);
  EXPECT_EQ(far.verdicts.distance, Standing::Above);
  EXPECT_EQ(far.verdicts.turns, Standing::Below);
  EXPECT_EQ(far.verdicts.carried, Standing::Below);
  EXPECT_TRUE(contains(all_of(far), "farther than chance"));
  EXPECT_TRUE(contains(all_of(far), "less than chance is carried"));
}

// Beyond chance but below what matters: as the null.
TEST(PoolRotations, AskForAnEffect) {
  std::vector<RotationRow> rows = chance_rows();
  for (RotationRow& row : rows) {
    row.pair.shared.distance = 0.97 * row.pair.null.distance * (1 + 1e-4 * static_cast<double>(row.key.layer));
    row.pair.shared.turn_correlation = 0.14;
    row.pair.shared.explained = 0.515;
  }
  const RotationComparison comparison = pool_rotations(rows, 1);
  EXPECT_LT(comparison.all.distance_z, -4);
  EXPECT_EQ(comparison.verdicts.distance, Standing::AsNull);
  EXPECT_EQ(comparison.verdicts.turns, Standing::AsNull);
  EXPECT_EQ(comparison.verdicts.carried, Standing::AsNull);
}

TEST(PoolRotations, UnrelatedModelsAreAskedNothing) {
  std::vector<RotationRow> rows = chance_rows();
  for (RotationRow& row : rows) {
    row.pair.other.cosine = 0.01;
    row.pair.other.identity_distance = 1.38;
  }
  const RotationComparison comparison = pool_rotations(rows, 1);
  EXPECT_TRUE(comparison.verdicts.unrelated);
  EXPECT_EQ(comparison.verdicts.carried, Standing::Undefined);
  EXPECT_TRUE(contains(all_of(comparison), "rl is another model, no post of the base: unrelated."));
}

TEST(PoolRotations, WhatIsNotDefinedIsSaid) {
  std::vector<RotationRow> rows = chance_rows();
  for (RotationRow& row : rows) row.pair.null = {};
  const RotationComparison without = pool_rotations(rows, 0);
  EXPECT_EQ(without.verdicts.distance, Standing::Undefined);
  EXPECT_EQ(without.verdicts.carried, Standing::Undefined);
  EXPECT_EQ(without.verdicts.turns, Standing::AsNull);  // needs no draw
  EXPECT_TRUE(contains(all_of(without), "no null says what that means"));
  for (RotationRow& row : rows) row.pair.shared = {.difference = 0};
  const RotationComparison nothing = pool_rotations(rows, 0);
  EXPECT_EQ(all_of(nothing), "No matrix of sft and rl has rotations that are defined.\n");
}

}  // namespace
}  // namespace gyro
