// Findings from hand-made rows and types: each verdict on both sides of its threshold.

#include "gyro/diff/findings.h"

#include <gtest/gtest.h>

#include <cmath>
#include <optional>

namespace gyro {
namespace {

/// One layer of the seven types, unremarkable in every respect: related, noise-like, c = 1.
struct Example {
  std::vector<MatrixRow> rows;
  std::vector<TypeRow> types;

  Example() {
    for (const MatrixType type : {MatrixType::Q, MatrixType::K, MatrixType::V, MatrixType::O, MatrixType::Gate,
                                  MatrixType::Up, MatrixType::Down}) {
      rows.push_back({.type = type,
                      .d_in = 64,
                      .d_out = 64,
                      .n = 64,
                      .k = 57000,
                      .nf = 0.01,
                      .nf_chance = 0.2,
                      .stable_rank = 15});
      types.push_back({.type = type,
                       .alpha_mean = 1,
                       .alpha_std = 0.02,
                       .counter_over_co = 1,
                       .counter_over_co_sd = 0.01,
                       .energy = {.total = 2, .co_rotation = 0.4},
                       .scale_mean = 1,
                       .unchanged = 0.02,
                       .null = {.alpha_mean = 1, .alpha_std = 0.02}});
    }
  }
  void set(double TypeRow::*member, double value) {
    for (TypeRow& type : types) type.*member = value;
  }
  void set(double MatrixRow::*member, double value) {
    for (MatrixRow& row : rows) row.*member = value;
  }
  std::vector<Finding> findings() const { return find_findings(rows, types); }
  std::optional<Finding> find(FindingId id) const {
    for (Finding& finding : findings()) {
      if (finding.id == id) return std::move(finding);
    }
    return std::nullopt;
  }
  Verdict verdict(FindingId id) const { return find(id).value().verdict; }
  double value(FindingId id) const { return find(id).value().value; }
  std::string text(FindingId id) const { return find(id).value().text; }
};

bool says_nan(const std::string& text) {
  return text.find("nan") != text.npos;
}

using enum MatrixType;

TEST(Findings, OfAnUnremarkableComparison) {
  const Example c;
  const std::vector<Finding> all = c.findings();
  ASSERT_EQ(all.size(), 7u);
  for (const Finding& finding : all) {
    EXPECT_TRUE(std::isfinite(finding.value) && std::isfinite(finding.null) && std::isfinite(finding.threshold));
    EXPECT_FALSE(finding.text.empty());
  }
  EXPECT_EQ(c.verdict(FindingId::Unrelated), Verdict::No);
  EXPECT_EQ(c.verdict(FindingId::UniformScaling), Verdict::AsChance);
  EXPECT_EQ(c.verdict(FindingId::CommonScalar), Verdict::Yes);
  EXPECT_EQ(c.verdict(FindingId::WoAnomaly), Verdict::No);
  EXPECT_EQ(c.verdict(FindingId::CoRotation), Verdict::AsChance);
  EXPECT_EQ(c.verdict(FindingId::LowRankUpdate), Verdict::No);
  EXPECT_EQ(c.verdict(FindingId::SparseUpdate), Verdict::No);
}

TEST(Findings, OfNothing) {
  EXPECT_TRUE(find_findings({}, {}).empty());
  Example c;
  for (MatrixRow& row : c.rows) row.type = QKV;
  for (TypeRow& type : c.types) type.type = GateUp;
  EXPECT_TRUE(c.findings().empty());
}

TEST(Findings, FusedRowsStayOut) {
  Example c;
  for (int i = 0; i < 30; ++i) {
    c.rows.push_back(c.rows[0]);
    c.rows.back().type = QKV;
    c.rows.back().nf = 0.2;
    c.types.push_back(c.types[0]);
    c.types.back().type = QKV;
    c.types.back().scale_mean = 0.3;
    c.types.back().unchanged = 1;
  }
  EXPECT_EQ(c.verdict(FindingId::Unrelated), Verdict::No);
  EXPECT_EQ(c.verdict(FindingId::CommonScalar), Verdict::Yes);
  EXPECT_EQ(c.verdict(FindingId::SparseUpdate), Verdict::No);
}

TEST(Findings, UnrelatedNeedsMostMatrices) {
  Example c;
  for (size_t i = 0; i < 3; ++i) c.rows[i].nf = 0.17;
  EXPECT_EQ(c.verdict(FindingId::Unrelated), Verdict::No);  // 3 of 7
  c.rows[3].nf = 0.17;
  EXPECT_EQ(c.verdict(FindingId::Unrelated), Verdict::Yes);
  c.set(&MatrixRow::nf, 0.159);  // 0.795 of chance
  EXPECT_EQ(c.verdict(FindingId::Unrelated), Verdict::No);
  EXPECT_NEAR(c.value(FindingId::Unrelated), 0.795, 1e-12);
}

TEST(Findings, UniformScaling) {
  Example c;
  c.types[2].alpha_std = 0.051;
  EXPECT_EQ(c.verdict(FindingId::UniformScaling), Verdict::No);
  c.types[2].alpha_std = 0.049;
  c.types[2].null.alpha_std = 0.05;  // 0.98 of chance: within the margin of 5 %
  EXPECT_EQ(c.verdict(FindingId::UniformScaling), Verdict::AsChance);
  c.types[2].null.alpha_std = 0.06;  // far below its chance, but the others are at theirs
  EXPECT_EQ(c.verdict(FindingId::UniformScaling), Verdict::SomeTypes);
  EXPECT_EQ(c.find(FindingId::UniformScaling)->types, std::vector{V});
  EXPECT_EQ(c.value(FindingId::UniformScaling), 0.049);
  EXPECT_EQ(c.find(FindingId::UniformScaling)->null, 0.06);
  for (TypeRow& type : c.types) type.null.alpha_std = 0.06;
  EXPECT_EQ(c.verdict(FindingId::UniformScaling), Verdict::Yes);
  for (MatrixRow& row : c.rows)
    row.k = 57;  // few samples scatter by themselves: 4/√57 is more than the 18 % that the least clear type has
  EXPECT_EQ(c.verdict(FindingId::UniformScaling), Verdict::SomeTypes);
  c.types[1].null = {};
  EXPECT_EQ(c.verdict(FindingId::UniformScaling), Verdict::Unclear);
  c.types[1].alpha_mean = kUndefined;
  EXPECT_EQ(c.verdict(FindingId::UniformScaling), Verdict::Undefined);
}

TEST(Findings, CommonScalar) {
  Example c;
  c.set(&TypeRow::scale_mean, 0.9);
  EXPECT_EQ(c.verdict(FindingId::CommonScalar), Verdict::Yes);
  EXPECT_NEAR(c.value(FindingId::CommonScalar), 0.9, 1e-12);
  c.types[0].scale_mean = 0.9028;  // 0.0024 above the mean
  EXPECT_EQ(c.verdict(FindingId::CommonScalar), Verdict::No);
  c.set(&TypeRow::scale_mean, 1.1);
  const std::string text = c.text(FindingId::CommonScalar);
  EXPECT_FALSE(says_nan(text)) << text;
  EXPECT_NE(text.find("less than 1"), text.npos) << text;
}

TEST(Findings, WoAnomaly) {
  Example c;
  c.types[3].alpha_mean = 1.19;
  EXPECT_EQ(c.verdict(FindingId::WoAnomaly), Verdict::No);
  c.types[3].alpha_mean = 1.21;
  EXPECT_EQ(c.verdict(FindingId::WoAnomaly), Verdict::Yes);
  EXPECT_NEAR(c.value(FindingId::WoAnomaly), 0.21, 1e-12);
  c.types.erase(c.types.begin() + 3);
  EXPECT_FALSE(c.find(FindingId::WoAnomaly));
}

// An effect over the margin (2 %) and |z| > 4 are both needed.
TEST(Findings, CoRotation) {
  Example c;
  c.set(&TypeRow::counter_over_co, 0.9);
  EXPECT_EQ(c.verdict(FindingId::CoRotation), Verdict::Yes);
  // Seven types of equal energy: sd 0.01/√7.
  EXPECT_NEAR(c.find(FindingId::CoRotation)->z, -0.1 / (0.01 / std::sqrt(7.0)), 1e-9);
  EXPECT_EQ(c.find(FindingId::CoRotation)->types.size(), 7u);
  c.set(&TypeRow::counter_over_co_sd, 0.1);  // z = −2.6
  EXPECT_EQ(c.verdict(FindingId::CoRotation), Verdict::AsChance);
  c.set(&TypeRow::counter_over_co_sd, 1e-4);
  c.set(&TypeRow::counter_over_co, 0.985);  // z = −400, an effect of 1.5 %
  EXPECT_EQ(c.verdict(FindingId::CoRotation), Verdict::AsChance);
  c.set(&TypeRow::counter_over_co, 1.0);
  c.types[2].counter_over_co = 0.9;
  EXPECT_EQ(c.verdict(FindingId::CoRotation), Verdict::SomeTypes);
  EXPECT_EQ(c.find(FindingId::CoRotation)->types, std::vector{V});
  c.set(&TypeRow::counter_over_co, 1.3);  // more counter-rotation than chance is not co-rotation
  EXPECT_EQ(c.verdict(FindingId::CoRotation), Verdict::AsChance);
  c.set(&TypeRow::counter_over_co, kUndefined);
  EXPECT_EQ(c.verdict(FindingId::CoRotation), Verdict::Undefined);
}

TEST(Findings, LowRank) {
  Example c;  // noise of 64 x 64: stable rank 64²/(4·64) = 16
  c.set(&MatrixRow::stable_rank, 1.7);
  EXPECT_EQ(c.verdict(FindingId::LowRankUpdate), Verdict::No);
  c.set(&MatrixRow::stable_rank, 1.5);
  EXPECT_EQ(c.verdict(FindingId::LowRankUpdate), Verdict::Yes);
  c.set(&MatrixRow::stable_rank, kUndefined);
  EXPECT_EQ(c.verdict(FindingId::LowRankUpdate), Verdict::Undefined);
  EXPECT_TRUE(std::isnan(c.value(FindingId::LowRankUpdate)));
}

// What no matrix defines is neither found nor refuted, and no text says "nan".
TEST(Findings, OfWhatIsNotDefined) {
  Example c;
  for (double MatrixRow::*member : {&MatrixRow::nf, &MatrixRow::stable_rank}) c.set(member, kUndefined);
  for (double TypeRow::*member :
       {&TypeRow::alpha_mean, &TypeRow::alpha_std, &TypeRow::scale_mean, &TypeRow::counter_over_co}) {
    c.set(member, kUndefined);
  }
  for (const Finding& finding : c.findings()) {
    EXPECT_FALSE(says_nan(finding.text)) << finding.text;
    if (finding.id == FindingId::SparseUpdate) continue;
    EXPECT_EQ(finding.verdict, Verdict::Undefined) << finding.text;
    EXPECT_TRUE(std::isnan(finding.value)) << finding.text;
  }
}

// Some matrices that define nothing leave the word to the others.
TEST(Findings, OfWhatIsDefinedInPart) {
  Example c;
  for (size_t i = 0; i < 4; ++i) c.rows[i].nf = kUndefined;
  EXPECT_EQ(c.verdict(FindingId::Unrelated), Verdict::No);
  for (size_t i = 4; i < 6; ++i) c.rows[i].nf = 0.19;  // 2 of the 3 that have an NF
  EXPECT_EQ(c.verdict(FindingId::Unrelated), Verdict::Yes);
  EXPECT_NEAR(c.value(FindingId::Unrelated), 0.95, 1e-12);
  c.types[0].scale_mean = kUndefined;
  EXPECT_EQ(c.verdict(FindingId::CommonScalar), Verdict::Yes);
  EXPECT_TRUE(c.text(FindingId::CommonScalar)
                  .ends_with("c is undefined for W_Q, because the base has a matrix of zeros there."));
  EXPECT_EQ(c.find(FindingId::CommonScalar)->types.size(), 6u);
  c.types[1].alpha_mean = kUndefined;
  EXPECT_EQ(c.verdict(FindingId::WoAnomaly), Verdict::No);
  EXPECT_NEAR(c.value(FindingId::WoAnomaly), 0, 1e-12);
  c.types[3].alpha_mean = kUndefined;
  EXPECT_EQ(c.verdict(FindingId::WoAnomaly), Verdict::Undefined);
}

TEST(Findings, Sparse) {
  Example c;
  c.set(&TypeRow::unchanged, 0.24);
  EXPECT_EQ(c.verdict(FindingId::SparseUpdate), Verdict::No);
  c.set(&TypeRow::unchanged, 0.26);
  EXPECT_EQ(c.verdict(FindingId::SparseUpdate), Verdict::Yes);
}

}  // namespace
}  // namespace gyro
