// Where the update is, and whether it is one: findings of planted quantities.

#include <gtest/gtest.h>

#include <cmath>

#include "gyro/diff/findings.h"

namespace gyro {
namespace {

// Two layers of three types, changed as noise changes them.
struct Planted {
  Comparison comparison{.post = {.id = "post"}};
  std::vector<MatrixRow>& rows = comparison.matrices;

  Planted() {
    for (const int64_t layer : {0, 1}) {
      for (const MatrixType type : {MatrixType::Q, MatrixType::O, MatrixType::Up}) {
        rows.push_back({.layer = layer,
                        .type = type,
                        .d_in = 64,
                        .d_out = 64,
                        .n = 64,
                        .k = 57,
                        .nf = 0.01,
                        .nf_chance = 0.2,
                        .energy = {.total = 2},
                        .unchanged = 0.02,
                        .sparse_expected = 0.02,
                        .update_rank = 0.9,
                        .rounding_over_residual = 0.01});
        Quantities q;
        q.principal_share.q10 = {6, {0.1, 0.1, 0.001}, {0.1, 0.1, 0.001}, {0.01, 0.01, 0.0004}};
        q.intruders = {10, 0, 0, kUndefined, kUndefined};
        rows.back().quantities = q;
      }
    }
  }
  void set_u(double share) {
    for (MatrixRow& row : rows) row.quantities->principal_share.q10.u.value = share;
  }
  void set_v(double share) {
    for (MatrixRow& row : rows) row.quantities->principal_share.q10.v.value = share;
  }
  std::optional<Finding> find(FindingId id) {
    comparison.types = pool_types(rows);
    judge({.id = "base"}, comparison);
    for (const Finding& finding : comparison.findings) {
      if (finding.id == id) return finding;
    }
    return std::nullopt;
  }
  Verdict verdict(FindingId id) { return find(id).value().verdict; }
  std::string text(FindingId id) { return find(id).value().text; }
};

bool says(const std::string& text, const std::string& what) {
  return text.find(what) != text.npos;
}

TEST(PrincipalUpdate, IsBesideChance) {
  constexpr FindingId id = FindingId::PrincipalUpdate;
  Planted c;
  EXPECT_EQ(c.verdict(id), Verdict::AsChance);
  c.set_u(0.105);
  EXPECT_EQ(c.verdict(id), Verdict::Slight);
  c.set_u(0.2);
  const Finding on = c.find(id).value();
  EXPECT_EQ(on.verdict, Verdict::Yes);
  EXPECT_DOUBLE_EQ(on.value, 0.2);
  EXPECT_DOUBLE_EQ(on.null, 0.1);
  EXPECT_NEAR(on.z, 100 * std::sqrt(6), 1e-9);
  EXPECT_EQ(on.types.size(), 3u);
  EXPECT_TRUE(
      says(on.text,
           "The update lies on the base's principal directions: the leading tenth of them holds, of its energy, 20 % "
           "on the input side (chance 10 %, z = 245)"))
      << on.text;
  c.set_v(0.05);
  EXPECT_TRUE(says(c.text(id), "on the base's principal directions on the input side and off them on the output side"));
  c.set_u(0.1);
  EXPECT_EQ(c.verdict(id), Verdict::Counter);
  EXPECT_TRUE(says(c.text(id), "lies off the base's principal directions"));
}

TEST(PrincipalUpdate, NamesTheTypesThatAreSo) {
  Planted c;
  for (MatrixRow& row : c.rows) {
    if (row.type == MatrixType::O) row.quantities->principal_share.q10.v.value = 0.5;
  }
  const Finding f = c.find(FindingId::PrincipalUpdate).value();
  EXPECT_EQ(f.types, std::vector{MatrixType::O});
  EXPECT_TRUE(f.text.ends_with(" On the output side so in W_O.")) << f.text;
  EXPECT_NEAR(f.value, (0.5 + 0.1 + 0.1) / 3, 1e-12);
}

// The verdict's numbers are those of the side that it is of.
TEST(PrincipalUpdate, TakesTheSideThatDecides) {
  Planted c;
  c.set_u(0.2);
  for (MatrixRow& row : c.rows) row.quantities->principal_share.q10.v = {0.01, 0.1, 1};  // far, and no wonder
  const Finding f = c.find(FindingId::PrincipalUpdate).value();
  EXPECT_EQ(f.verdict, Verdict::Yes);
  EXPECT_DOUBLE_EQ(f.value, 0.2);
  EXPECT_GT(f.z, 4);
}

TEST(PrincipalUpdate, IsUndefinedHiddenOrNotThere) {
  constexpr FindingId id = FindingId::PrincipalUpdate;
  Planted c;
  for (MatrixRow& row : c.rows) row.rounding_over_residual = 0.8;
  EXPECT_EQ(c.verdict(id), Verdict::Rounding);
  for (MatrixRow& row : c.rows) row.quantities->principal_share = {};
  EXPECT_EQ(c.verdict(id), Verdict::Undefined);
  EXPECT_TRUE(says(c.text(id), "undefined"));
  EXPECT_FALSE(says(c.text(id), "nan"));
  for (MatrixRow& row : c.rows) row.quantities.reset();
  EXPECT_FALSE(c.find(id));
  EXPECT_FALSE(c.find(FindingId::Intruders));
}

TEST(Intruders, AreHeldAgainstTheDraw) {
  constexpr FindingId id = FindingId::Intruders;
  Planted c;
  EXPECT_EQ(c.verdict(id), Verdict::No);
  EXPECT_TRUE(says(c.text(id), "each of the post's 120 leading directions"));
  Intruders& one = c.rows[1].quantities->intruders;
  one = {10, 4, 2, 0, 0};  // too few to tell
  EXPECT_EQ(c.verdict(id), Verdict::AsChance);
  one = {30, 25, 20, 0, 0};
  Finding f = c.find(id).value();
  EXPECT_EQ(f.verdict, Verdict::Yes);
  EXPECT_DOUBLE_EQ(f.value, 45.0 / 160);
  EXPECT_DOUBLE_EQ(f.z, 45 / std::sqrt(91));
  EXPECT_EQ(f.types, std::vector{MatrixType::O});
  EXPECT_TRUE(says(f.text, "45 of the post's 160 leading directions")) << f.text;
  EXPECT_TRUE(says(f.text, "all in W_O, where noise as large as the change makes 0")) << f.text;
  one = {30, 25, 20, 3, 2};  // in one of six matrices: 30 in all
  EXPECT_EQ(c.verdict(id), Verdict::AsChance);
  EXPECT_TRUE(says(c.text(id), "makes 30")) << c.text(id);
  one = {10, 1, 0, kUndefined, kUndefined};
  EXPECT_EQ(c.verdict(id), Verdict::Undefined);
  for (MatrixRow& row : c.rows) row.quantities->intruders.of = row.quantities->intruders.u = 0;
  EXPECT_EQ(c.verdict(id), Verdict::Undefined);
}

TEST(UntouchedTypes, AreTypesAndLayers) {
  constexpr FindingId id = FindingId::UntouchedTypes;
  Planted c;
  EXPECT_FALSE(c.find(id));
  for (size_t i = 0; i < 3; ++i) c.rows[i].unchanged = 1;
  EXPECT_EQ(c.verdict(id), Verdict::SomeTypes);
  EXPECT_EQ(c.text(id), "3 of 6 matrices are untouched, all of layer 0.");
  c.rows[4].unchanged = 1;
  EXPECT_EQ(c.verdict(id), Verdict::Yes);
  EXPECT_EQ(c.text(id), "4 of 6 matrices are untouched, all of W_O among them and all of layer 0.");
  EXPECT_EQ(c.comparison.types[1].untouched, 2);
  EXPECT_FALSE(c.comparison.types[1].quantities);
  c.rows.push_back({.layer = 0, .type = MatrixType::Router, .unchanged = 1});  // of which nothing else is asked
  EXPECT_EQ(c.text(id), "5 of 7 matrices are untouched, all of W_O and W_router among them and all of layer 0.");
  c.rows.back().unchanged = 0.5;
  EXPECT_EQ(c.text(id), "4 of 7 matrices are untouched, all of W_O among them.");
}

TEST(RoundingOnly, LeavesNothingElseToAsk) {
  constexpr FindingId id = FindingId::RoundingOnly;
  Planted c;
  EXPECT_FALSE(c.find(id));
  c.rows[2].flags = {"rounding_only"};
  EXPECT_EQ(c.verdict(id), Verdict::SomeTypes);
  EXPECT_TRUE(says(c.text(id), "in 1 of 6 matrices that differ"));
  EXPECT_NE(c.verdict(FindingId::CoRotation), Verdict::NotAsked);
  for (MatrixRow& row : c.rows) row.flags = {"rounding_only"};
  c.rows[0].unchanged = 1;
  c.rows[0].flags = {};
  EXPECT_EQ(c.verdict(id), Verdict::Yes);
  EXPECT_EQ(c.verdict(FindingId::CoRotation), Verdict::NotAsked);
  EXPECT_EQ(c.verdict(FindingId::SparseUpdate), Verdict::NotAsked);
}

}  // namespace
}  // namespace gyro
