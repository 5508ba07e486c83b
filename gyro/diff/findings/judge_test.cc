// Findings from hand-made rows and types: each verdict on both sides of its threshold.

#include <gtest/gtest.h>

#include <cmath>
#include <optional>

#include "gyro/base/test_util.h"
#include "gyro/diff/findings.h"

namespace gyro {
namespace {

/// One layer of the seven types, unremarkable in every respect: related, noise-like, c = 1.
struct Example {
  ModelInfo base = {.id = "models/base"};
  Comparison comparison = {.post = {.id = "models/post"}};
  std::vector<MatrixRow>& rows = comparison.matrices;
  std::vector<TypeRow>& types = comparison.types;

  Example() {
    for (const MatrixType type : {MatrixType::Q, MatrixType::K, MatrixType::V, MatrixType::O, MatrixType::Gate,
                                  MatrixType::Up, MatrixType::Down}) {
      rows.push_back({.type = type,
                      .d_in = 64,
                      .d_out = 64,
                      .n = 64,
                      .k = 57,
                      .alpha_error = 1e-9,
                      .nf = 0.01,
                      .nf_chance = 0.2,
                      .energy = {.total = 2},
                      .unchanged = 0.02,
                      .sparse_expected = 0.02,
                      .update_rank = 0.9,
                      .rounding_over_residual = 0.01});
      types.push_back(
          {.type = type,
           .alpha_mean = 1,
           .alpha_std = 0.02,
           .symmetric_share = 0.001,
           .symmetric_null = 0.001,
           .symmetric_sd = 0.001,
           .rounding_ratio = 1000,
           .rescaled = {.off_diagonal = 0.8, .symmetric_share = 0.001, .symmetric_null = 0.001, .symmetric_sd = 0.001},
           .energy = {.total = 2, .co_rotation = 0.4, .counter_rotation = 0.4},
           .scale_mean = 1,
           .scale_sd = 1e-5,
           .k_eff = 40000,
           .null = {.alpha_mean = 1, .alpha_std = 0.02}});
    }
  }
  Example(const Example&) = delete;  // rows and types are of comparison
  Example& operator=(const Example&) = delete;

  void set(double TypeRow::*member, double value) {
    for (TypeRow& type : types) type.*member = value;
  }
  void set(double MatrixRow::*member, double value) {
    for (MatrixRow& row : rows) row.*member = value;
  }
  /// Symmetric beyond chance by this much, with and without row and column factors.
  void turn(TypeRow& type, double effect) {
    type.symmetric_share = type.symmetric_null + effect;
    type.rescaled.symmetric_share = type.rescaled.symmetric_null + effect;
  }
  const std::vector<Finding>& findings() {
    judge(base, comparison);
    return comparison.findings;
  }
  std::optional<Finding> find(FindingId id) {
    for (const Finding& finding : findings()) {
      if (finding.id == id) return finding;
    }
    return std::nullopt;
  }
  Verdict verdict(FindingId id) { return find(id).value().verdict; }
  double value(FindingId id) { return find(id).value().value; }
  std::string text(FindingId id) { return find(id).value().text; }
};

bool says_nan(const std::string& text) {
  return text.find("nan") != text.npos;
}

using enum MatrixType;

bool says(const std::string& text, const std::string& what) {
  return text.find(what) != text.npos;
}

TEST(Findings, OfAnUnremarkableComparison) {
  Example c;
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
  for (const TypeRow& type : c.types) {
    EXPECT_EQ(type.verdicts.uniform_scaling, Verdict::AsChance);
    EXPECT_EQ(type.verdicts.co_rotation, Verdict::AsChance);
    EXPECT_EQ(type.margins.uniform_scaling, 0.05);
  }
}

TEST(Findings, OfNothing) {
  Comparison empty;
  judge({}, empty);
  EXPECT_TRUE(empty.findings.empty());
  Example c;
  for (MatrixRow& row : c.rows) row.type = QKV;
  for (TypeRow& type : c.types) type.type = GateUp;
  EXPECT_TRUE(c.findings().empty());
}

TEST(Findings, FusedRowsStayOutAndHaveTheirOwnVerdicts) {
  Example c;
  for (int i = 0; i < 30; ++i) {
    c.rows.push_back(c.rows[0]);
    c.rows.back().type = QKV;
    c.rows.back().nf = 0.2;
    c.rows.back().unchanged = 0.9;
    c.types.push_back(c.types[0]);
    c.types.back().type = QKV;
    c.types.back().scale_mean = 0.3;
    c.turn(c.types.back(), 0.02);
  }
  EXPECT_EQ(c.verdict(FindingId::Unrelated), Verdict::No);
  EXPECT_EQ(c.verdict(FindingId::CommonScalar), Verdict::Yes);
  EXPECT_EQ(c.verdict(FindingId::SparseUpdate), Verdict::No);
  EXPECT_EQ(c.verdict(FindingId::CoRotation), Verdict::AsChance);
  EXPECT_EQ(c.types.back().verdicts.co_rotation, Verdict::Yes);
}

// Where nothing is asked, nothing is answered, and the text says why.
TEST(Findings, OfWhatIsNotAsked) {
  const auto expect_not_asked = [](Example& c, Verdict lineage, const std::string& why) {
    for (const Finding& finding : c.findings()) {
      const bool first = finding.id == FindingId::Unrelated;
      EXPECT_EQ(finding.verdict, first ? lineage : Verdict::NotAsked);
      EXPECT_TRUE((first && lineage != Verdict::NotAsked) || says(finding.text, why)) << finding.text;
    }
    for (const TypeRow& type : c.types) {
      EXPECT_EQ(type.verdicts.uniform_scaling, Verdict::NotAsked);
      EXPECT_EQ(type.verdicts.co_rotation, Verdict::NotAsked);
    }
  };
  Example control;
  control.comparison.role = Role::Control;
  expect_not_asked(control, Verdict::No, "a control");
  Example noise;
  noise.comparison.role = Role::Control;
  noise.comparison.noise_of = "models/instruct";
  expect_not_asked(noise, Verdict::NotAsked, "the change of instruct, as large");
  Example other;
  other.set(&MatrixRow::nf, 0.2);
  expect_not_asked(other, Verdict::Yes, "nothing of the base");
  Example same;
  same.set(&MatrixRow::unchanged, 1);
  expect_not_asked(same, Verdict::No, "the same weights");
  EXPECT_TRUE(says(same.text(FindingId::Unrelated), "in all 7 matrices compared; was the adapter merged?"));
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
  c.set(&MatrixRow::nf, 0.239);
  EXPECT_EQ(c.verdict(FindingId::Unrelated), Verdict::Yes);
  c.set(&MatrixRow::cosine, 0.2);  // base and much noise
  EXPECT_EQ(c.verdict(FindingId::Unrelated), Verdict::No);
  EXPECT_TRUE(says(c.text(FindingId::Unrelated), "their weights agree (median cosine 0.20)"))
      << c.text(FindingId::Unrelated);
  c.set(&MatrixRow::cosine, 0.06);  // as chance has it in matrices of this size
  EXPECT_EQ(c.verdict(FindingId::Unrelated), Verdict::Yes);
  Example flipped, permuted;  // signs of every other row; rows in another order
  for (Example* example : {&flipped, &permuted}) example->set(&MatrixRow::nf, 0.239);
  flipped.set(&MatrixRow::unchanged, 0.5);
  EXPECT_EQ(flipped.verdict(FindingId::Unrelated), Verdict::No);
  EXPECT_TRUE(says(flipped.text(FindingId::Unrelated), "but 48 % of the weights are bit for bit the base's"))
      << flipped.text(FindingId::Unrelated);
  for (MatrixRow& row : permuted.rows) {
    row.quantities.emplace();
    row.quantities->subspace_overlap.q10.u.value = 0.1;
    row.quantities->subspace_overlap.q10.v.value = 0.98;
  }
  EXPECT_EQ(permuted.verdict(FindingId::Unrelated), Verdict::No);
  EXPECT_TRUE(says(permuted.text(FindingId::Unrelated), "of the output side are the base's (overlap 0.98)"))
      << permuted.text(FindingId::Unrelated);
  c.set(&MatrixRow::nf, 0.28);  // what is reversed is no less related
  EXPECT_EQ(c.verdict(FindingId::Unrelated), Verdict::No);
  EXPECT_TRUE(says(c.text(FindingId::Unrelated), "1.40 of what independent matrices give"))
      << c.text(FindingId::Unrelated);
}

TEST(Findings, UniformScaling) {
  constexpr FindingId id = FindingId::UniformScaling;
  Example c;
  c.types[2].alpha_std = 0.051;
  c.types[2].null.alpha_std = 0.051;
  EXPECT_EQ(c.verdict(id), Verdict::No);
  EXPECT_TRUE(says(c.text(id), "in W_V (5.1 %; chance 5.1 %)")) << c.text(id);
  c.types[2].alpha_std = 0.049;
  c.types[2].null.alpha_std = 0.0495;  // z = −2
  EXPECT_EQ(c.verdict(id), Verdict::AsChance);
  c.types[2].null.alpha_std = 0.051;  // z = −7.8, 4 % below
  EXPECT_EQ(c.verdict(id), Verdict::Slight);
  EXPECT_EQ(c.find(id)->types, std::vector{V});
  c.types[2].null.alpha_std = 0.06;  // far below its chance, but the others are at theirs
  EXPECT_EQ(c.verdict(id), Verdict::SomeTypes);
  EXPECT_EQ(c.find(id)->types, std::vector{V});
  EXPECT_EQ(c.value(id), 0.049);
  EXPECT_EQ(c.find(id)->null, 0.06);
  EXPECT_NEAR(c.find(id)->z, (0.049 / 0.06 - 1) * 200, 1e-9);
  EXPECT_TRUE(says(c.text(id), "by: W_V (4.9 %; chance 6.0 %).")) << c.text(id);
  EXPECT_EQ(c.types[2].verdicts.uniform_scaling, Verdict::Yes);
  c.types[2].null.alpha_std = 0.04;  // wider than chance
  EXPECT_EQ(c.verdict(id), Verdict::Counter);
  EXPECT_TRUE(says(c.text(id), "less evenly than chance")) << c.text(id);
}

TEST(Findings, UniformScalingOfAllTypesAndOfFewValues) {
  constexpr FindingId id = FindingId::UniformScaling;
  Example c;
  for (TypeRow& type : c.types) type.null.alpha_std = 0.024;
  EXPECT_EQ(c.verdict(id), Verdict::Yes);
  c.types[0].k_eff = 400;  // few values scatter by themselves: 4/√400 is more than the 17 % of W_Q
  EXPECT_EQ(c.verdict(id), Verdict::SomeTypes);
  EXPECT_NEAR(c.types[0].margins.uniform_scaling, 0.2, 1e-12);
  EXPECT_EQ(c.find(id)->types.size(), 6u);
  c.types[1].null = {};
  EXPECT_EQ(c.verdict(id), Verdict::SomeTypes);
  EXPECT_EQ(c.types[1].verdicts.uniform_scaling, Verdict::Unclear);
  for (TypeRow& type : c.types) type.null = {};
  EXPECT_EQ(c.verdict(id), Verdict::Unclear);
  c.types[1].alpha_mean = kUndefined;
  EXPECT_EQ(c.verdict(id), Verdict::Unclear);
  EXPECT_TRUE(says(c.text(id), "Undefined in W_K: α is not defined")) << c.text(id);
  c.set(&MatrixRow::alpha_error, 0.021);  // nothing is said below the bound of α
  EXPECT_EQ(c.verdict(id), Verdict::Undefined);
  EXPECT_TRUE(says(c.text(id), "by less than its error bound")) << c.text(id);
}

TEST(Findings, CommonScalar) {
  constexpr FindingId id = FindingId::CommonScalar;
  Example c;
  c.set(&TypeRow::scale_mean, 0.9);
  EXPECT_EQ(c.verdict(id), Verdict::Yes);
  EXPECT_NEAR(c.value(id), 0.9, 1e-12);
  c.types[0].scale_mean = 0.9019;
  EXPECT_EQ(c.verdict(id), Verdict::Yes);
  c.types[0].scale_mean = 0.9024;
  EXPECT_EQ(c.verdict(id), Verdict::No);
  EXPECT_EQ(c.find(id)->types, std::vector{Q});
  EXPECT_TRUE(says(c.text(id), "0.9024 in W_Q")) << c.text(id);
  c.types[0].scale_sd = 0.001;  // as far as noise of this size moves it
  EXPECT_EQ(c.verdict(id), Verdict::Yes);
  c.set(&TypeRow::scale_mean, 1.1);
  EXPECT_TRUE(says(c.text(id), "less than 1")) << c.text(id);
  c.set(&TypeRow::scale_mean, -1);
  EXPECT_EQ(c.verdict(id), Verdict::Yes);
  EXPECT_TRUE(says(c.text(id), "negative: c = −1.0000")) << c.text(id);
  c.set(&TypeRow::scale_mean, 0.3);
  EXPECT_EQ(c.verdict(id), Verdict::No);
  c.types.resize(1);
  c.rows.resize(1);
  EXPECT_EQ(c.verdict(id), Verdict::Undefined);
}

// W_O's α is held against the other types' after what noise adds to each has been taken off.
TEST(Findings, WoAnomaly) {
  constexpr FindingId id = FindingId::WoAnomaly;
  Example c;
  c.types[3].alpha_mean = 1.19;
  EXPECT_EQ(c.verdict(id), Verdict::No);
  c.types[3].alpha_mean = 1.21;
  EXPECT_EQ(c.verdict(id), Verdict::Yes);
  EXPECT_NEAR(c.value(id), 0.21, 1e-12);
  c.types[3].null.alpha_mean = 1.2;  // c = 1, and noise makes 1.2 of it
  EXPECT_EQ(c.verdict(id), Verdict::No);
  c.types[3].scale_mean = 1.2;  // c = 1.2, and nothing is added to it
  EXPECT_EQ(c.verdict(id), Verdict::Yes);
  c.types[3].null = {};
  EXPECT_EQ(c.verdict(id), Verdict::Undefined);
  c.types.erase(c.types.begin() + 3);
  EXPECT_FALSE(c.find(id));
  c.types = {c.types[0]};
  c.types[0].type = O;
  EXPECT_EQ(c.verdict(id), Verdict::Undefined);
  EXPECT_TRUE(says(c.text(id), "because no other type was compared")) << c.text(id);
}

// An effect of 1 % and |z| > 4 are both needed, and row and column factors must not explain it.
TEST(Findings, CoRotation) {
  constexpr FindingId id = FindingId::CoRotation;
  Example c;
  for (TypeRow& type : c.types) c.turn(type, 0.011);
  EXPECT_EQ(c.verdict(id), Verdict::Yes);
  // Seven types of equal energy: sd 0.001/√7.
  EXPECT_NEAR(c.find(id)->z, -0.011 / (0.001 / std::sqrt(7.0)), 1e-9);
  EXPECT_NEAR(c.value(id) - c.find(id)->null, 0.011, 1e-12);
  EXPECT_EQ(c.find(id)->types.size(), 7u);
  EXPECT_TRUE(says(c.text(id), "1.1 % of the off-diagonal change is symmetric beyond chance (z = −29)")) << c.text(id);
  EXPECT_FALSE(says(c.text(id), "as where both sides turn alike")) << c.text(id);  // the pattern is not known
  for (TypeRow& type : c.types) type.side = {.turn = 0.01, .turn_sd = 0.001, .stretch = 0.002, .stretch_sd = 0.001};
  EXPECT_TRUE(says(c.text(id), "as where both sides turn alike")) << c.text(id);
  for (TypeRow& type : c.types) type.side = {.turn = 0.001, .turn_sd = 0.001, .stretch = 0.011, .stretch_sd = 0.001};
  EXPECT_TRUE(says(c.text(id), "it is a stretch of one side (1.0 % ± 0.038 %) and no turn of both")) << c.text(id);
  for (TypeRow& type : c.types) c.turn(type, 0.009);
  EXPECT_EQ(c.verdict(id), Verdict::Slight);
  EXPECT_TRUE(says(c.text(id), "less than the 1 % that we call an effect")) << c.text(id);
  EXPECT_FALSE(says(c.text(id), "as where both sides turn alike")) << c.text(id);
  c.set(&TypeRow::symmetric_sd, 0.1);  // z = −0.24
  EXPECT_EQ(c.verdict(id), Verdict::AsChance);
  c.set(&TypeRow::symmetric_sd, 0.001);
  for (TypeRow& type : c.types) c.turn(type, -0.011);
  EXPECT_EQ(c.verdict(id), Verdict::Counter);
  EXPECT_TRUE(says(c.text(id), "antisymmetric beyond chance (z = 29)")) << c.text(id);
  for (TypeRow& type : c.types) {
    type.side = {.input = -0.03,
                 .input_null = 0.01,
                 .input_sd = 0.005,
                 .turn = 0,
                 .turn_sd = 0.001,
                 .stretch = -0.01,
                 .stretch_sd = 0.001};
  }
  EXPECT_TRUE(says(c.text(id), "−1.1 % ± 0.038 % a stretch of one (negative: one side turns alone)")) << c.text(id);
  EXPECT_TRUE(says(c.text(id), "The output side has more of the change, by 4.0 % ± 0.19 %.")) << c.text(id);
  for (TypeRow& type : c.types) c.turn(type, -0.009);
  EXPECT_EQ(c.verdict(id), Verdict::Slight);
}

TEST(Findings, CoRotationOfSomeTypes) {
  constexpr FindingId id = FindingId::CoRotation;
  Example c;
  c.turn(c.types[2], 0.02);
  c.turn(c.types[0], 0.005);
  c.turn(c.types[6], -0.02);
  EXPECT_EQ(c.verdict(id), Verdict::SomeTypes);
  EXPECT_EQ(c.find(id)->types, std::vector{V});
  const std::string text = c.text(id);
  EXPECT_TRUE(says(text, "as symmetric as chance has it")) << text;
  EXPECT_TRUE(says(text,
                   "an effect in W_V; beyond chance but below 1 % in W_Q; antisymmetric, an effect, in W_down; "
                   "as chance in W_K, W_O, W_gate and W_up."))
      << text;
  EXPECT_EQ(c.types[2].verdicts.co_rotation, Verdict::Yes);
  c.types[2].rescaled.symmetric_share = 0.002;
  EXPECT_EQ(c.verdict(id), Verdict::Counter);
  EXPECT_EQ(c.types[2].verdicts.co_rotation, Verdict::No);
}

TEST(Findings, CoRotationThatRowsAndColumnsExplain) {
  constexpr FindingId id = FindingId::CoRotation;
  Example c;
  for (TypeRow& type : c.types) {
    c.turn(type, 0.5);
    type.rescaled.symmetric_share = 0.002;
  }
  EXPECT_EQ(c.verdict(id), Verdict::No);
  EXPECT_TRUE(says(c.text(id), "factors of rows and columns explain it: fitted out, 0.10 % is left")) << c.text(id);
  for (TypeRow& type : c.types) type.rescaled = {};  // not asked
  EXPECT_EQ(c.verdict(id), Verdict::Yes);
}

TEST(Findings, CoRotationThatCannotBeTold) {
  constexpr FindingId id = FindingId::CoRotation;
  Example c;
  for (TypeRow& type : c.types) c.turn(type, 0.1);
  c.types[0].rounding_ratio = 9.9;
  EXPECT_EQ(c.verdict(id), Verdict::Yes);
  EXPECT_EQ(c.types[0].verdicts.co_rotation, Verdict::Rounding);
  EXPECT_TRUE(says(c.text(id), "not clear of rounding in W_Q.")) << c.text(id);
  c.set(&TypeRow::rounding_ratio, 3.5);
  EXPECT_EQ(c.verdict(id), Verdict::Rounding);
  EXPECT_TRUE(says(c.text(id), "at most 3.5 times the energy")) << c.text(id);
  c.set(&TypeRow::rounding_ratio, 1000);
  for (TypeRow& type : c.types) type.energy.co_rotation = type.energy.counter_rotation = 1e-17;
  EXPECT_EQ(c.verdict(id), Verdict::Rounding);
  EXPECT_TRUE(says(c.text(id), "no more than arithmetic leaves")) << c.text(id);
  c.set(&TypeRow::rounding_ratio, kUndefined);
  for (TypeRow& type : c.types) type.energy = {};
  EXPECT_EQ(c.verdict(id), Verdict::Undefined);
  EXPECT_TRUE(says(c.text(id), "lacks directions")) << c.text(id);
  for (MatrixRow& row : c.rows) row.energy = {.total = 2, .co_rotation = 0, .counter_rotation = 0};
  EXPECT_TRUE(says(c.text(id), "nothing is off the diagonal")) << c.text(id);
  for (MatrixRow& row : c.rows) row.energy = {.total = 0};
  EXPECT_TRUE(says(c.text(id), "nothing has changed but the scale")) << c.text(id);
}

TEST(Findings, LowRank) {
  constexpr FindingId id = FindingId::LowRankUpdate;
  Example c;
  c.set(&MatrixRow::update_rank, 0.34);
  EXPECT_EQ(c.verdict(id), Verdict::No);
  c.set(&MatrixRow::update_rank, 0.33);
  EXPECT_EQ(c.verdict(id), Verdict::Yes);
  c.set(&MatrixRow::rounding_over_residual, 0.4);
  EXPECT_EQ(c.verdict(id), Verdict::Rounding);
  c.set(&MatrixRow::rounding_over_residual, 0.3);
  for (size_t i = 1; i < 7; ++i) c.rows[i].unchanged = 1;  // what has not changed says nothing of the change
  c.rows[0].update_rank = 0.9;
  EXPECT_EQ(c.verdict(id), Verdict::No);
  EXPECT_NEAR(c.value(id), 0.9, 1e-12);
  c.set(&MatrixRow::update_rank, kUndefined);
  EXPECT_EQ(c.verdict(id), Verdict::Undefined);
  EXPECT_TRUE(std::isnan(c.value(id)));
}

TEST(Findings, Sparse) {
  constexpr FindingId id = FindingId::SparseUpdate;
  Example c;
  c.set(&MatrixRow::unchanged, 0.26);
  EXPECT_EQ(c.verdict(id), Verdict::Slight);
  c.set(&MatrixRow::unchanged, 0.28);
  EXPECT_EQ(c.verdict(id), Verdict::Yes);
  c.set(&MatrixRow::sparse_expected, 0.29);  // a dense change of this size leaves as much
  EXPECT_EQ(c.verdict(id), Verdict::AsChance);
  c.set(&MatrixRow::unchanged, 0.01);  // and here far more
  EXPECT_EQ(c.verdict(id), Verdict::No);
  EXPECT_TRUE(says(c.text(id), "; a dense change of this size leaves more: 29 %.")) << c.text(id);
  c.set(&MatrixRow::unchanged, 0.02);
  c.set(&MatrixRow::sparse_expected, 0.02);
  for (const size_t i : {1u, 3u}) c.rows[i].unchanged = 1;
  EXPECT_EQ(c.verdict(id), Verdict::No);
  EXPECT_NEAR(c.value(id), 0.02, 1e-12);
  EXPECT_TRUE(says(c.text(id), " of the weights of the matrices that changed are")) << c.text(id);
  constexpr FindingId untouched = FindingId::UntouchedTypes;
  EXPECT_EQ(c.text(untouched), "W_K and W_O are bit-identical to the base's.");
  EXPECT_EQ(c.verdict(untouched), Verdict::Yes);
  c.rows.push_back(c.rows[0]);
  c.rows.back().unchanged = 1;
  EXPECT_EQ(c.text(untouched), "3 of 8 matrices are untouched, all of W_K and W_O among them.");
  c.set(&MatrixRow::unchanged, 3e-7);
  EXPECT_TRUE(c.text(id).starts_with("Fewer than 1 in a million of the weights are")) << c.text(id);
  c.set(&MatrixRow::sparse_expected, kUndefined);
  EXPECT_EQ(c.verdict(id), Verdict::Undefined);
}

// Findings are of what has changed: types that nobody touched neither move nor are named by them.
TEST(Findings, LeaveOutWhatHasNotChanged) {
  Example c, alone;
  for (size_t i = 1; i < 7; ++i) c.rows[i].unchanged = 1;
  alone.rows.resize(1);
  for (const FindingId id : {FindingId::Unrelated, FindingId::UniformScaling, FindingId::CoRotation})
    EXPECT_DOUBLE_EQ(c.value(id), alone.value(id));
  EXPECT_TRUE(c.text(FindingId::UntouchedTypes).ends_with(" are bit-identical to the base's."));
}

// A family of experts is spoken of by its type, however large it is.
TEST(Findings, DoNotListExperts) {
  Example c;
  for (int64_t expert = 0; expert < 384; ++expert) {
    c.rows.push_back(c.rows[5]);
    c.rows.back().expert = expert;
    c.rows.back().unchanged = expert % 3 == 0 ? 1 : 0;
  }
  for (const FindingId id : {FindingId::Unrelated, FindingId::UniformScaling, FindingId::CommonScalar,
                             FindingId::CoRotation, FindingId::LowRankUpdate, FindingId::SparseUpdate})
    EXPECT_LT(c.text(id).size(), 700u) << c.text(id);
  EXPECT_EQ(c.text(FindingId::UntouchedTypes), "128 of 391 matrices are untouched.");
  EXPECT_EQ(c.verdict(FindingId::UntouchedTypes), Verdict::SomeTypes);
}

// All c above 1, and names that say it, are both needed.
TEST(Findings, Order) {
  constexpr FindingId id = FindingId::Order;
  Example c;
  c.set(&TypeRow::scale_mean, 1.005);
  EXPECT_FALSE(c.find(id));
  c.base.id = "models/Qwen2.5-1.5B-Instruct";
  EXPECT_TRUE(says(c.text(id), "called Qwen2.5-1.5B-Instruct, and W_post ≈ c·W_base with c of at least 1.0050"))
      << c.text(id);
  EXPECT_EQ(c.verdict(id), Verdict::Unclear);
  c.types[4].scale_mean = 1;
  EXPECT_FALSE(c.find(id));
  c.types[4].scale_mean = 1.005;
  c.types[4].scale_sd = 0.01;
  EXPECT_FALSE(c.find(id));
  c.types[4].scale_sd = 0.001;
  c.comparison.post.id = "runs/rl";  // trained on from instruct
  EXPECT_FALSE(c.find(id));
  c.comparison.post.id = "runs/whirl";
  EXPECT_TRUE(c.find(id));
  c.base.id = "Suchthat";
  EXPECT_FALSE(c.find(id));
}

// What no matrix defines is neither found nor refuted, and no text says "nan".
TEST(Findings, OfWhatIsNotDefined) {
  Example c;
  for (MatrixRow& row : c.rows) row = {.type = row.type, .d_in = 64, .d_out = 64, .n = 64, .k = 57, .unchanged = 0};
  for (TypeRow& type : c.types) type = {.type = type.type};
  for (const Finding& finding : c.findings()) {
    EXPECT_FALSE(says_nan(finding.text)) << finding.text;
    EXPECT_TRUE(says(finding.text, "undefined")) << finding.text;
    EXPECT_EQ(finding.verdict, Verdict::Undefined) << finding.text;
    EXPECT_TRUE(finding.id == FindingId::SparseUpdate || std::isnan(finding.value)) << finding.text;
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
  EXPECT_TRUE(says(c.text(FindingId::Unrelated), "3 of 7 matrices"));
  c.set(&MatrixRow::nf, 0.01);
  c.types[0].scale_mean = kUndefined;
  EXPECT_EQ(c.verdict(FindingId::CommonScalar), Verdict::Yes);
  EXPECT_TRUE(c.text(FindingId::CommonScalar)
                  .ends_with("c is undefined in W_Q, because all matrices of the base are zero there."));
  EXPECT_EQ(c.find(FindingId::CommonScalar)->types.size(), 6u);
  c.types[1].alpha_mean = kUndefined;
  EXPECT_EQ(c.verdict(FindingId::WoAnomaly), Verdict::No);
  EXPECT_NEAR(c.value(FindingId::WoAnomaly), 0, 1e-12);
  c.types[3].alpha_mean = kUndefined;
  EXPECT_EQ(c.verdict(FindingId::WoAnomaly), Verdict::Undefined);
}

}  // namespace
}  // namespace gyro
