// Findings from hand-made rows and types: each verdict on both sides of its threshold.

#include <gtest/gtest.h>

#include "gyro/diff/result.h"

namespace gyro {
namespace {

/// One layer of the seven types, unremarkable in every respect: related, noise-like, c = 1.
struct Comparison {
  Json rows = Json::array();
  Json types = Json::array();

  Comparison() {
    for (const char* name : {"W_Q", "W_K", "W_V", "W_O", "W_gate", "W_up", "W_down"}) {
      rows.push_back({{"type", name},
                      {"fused", false},
                      {"d_in", 64},
                      {"d_out", 64},
                      {"n", 64},
                      {"k", 57000},
                      {"nf", 0.01},
                      {"nf_chance", 0.2},
                      {"stable_rank", 15.0}});
      types.push_back({{"type", name},
                       {"fused", false},
                       {"alpha_mean", 1.0},
                       {"alpha_std", 0.02},
                       {"scale_mean", 1.0},
                       {"counter_over_co", 1.0},
                       {"counter_over_co_sd", 0.01},
                       {"unchanged", 0.02},
                       {"energy", {{"total", 2.0}, {"co_rotation", 0.4}}},
                       {"null", {{"alpha_mean", 1.0}, {"alpha_std", 0.02}}}});
    }
  }
  void set_types(const char* key, const Json& value) {
    for (Json& type : types) type[key] = value;
  }
  void set_rows(const char* key, const Json& value) {
    for (Json& row : rows) row[key] = value;
  }
  Json find(std::string_view id) const {
    for (const Json& finding : find_findings(rows, types)) {
      if (finding["id"] == id) return finding;
    }
    return nullptr;
  }
  std::string verdict(std::string_view id) const {
    const Json finding = find(id);
    return finding.is_null() ? "absent" : finding["verdict"].get<std::string>();
  }
};

TEST(Findings, OfAnUnremarkableComparison) {
  const Comparison c;
  const Json all = find_findings(c.rows, c.types);
  ASSERT_EQ(all.size(), 7u);
  for (const Json& finding : all) {
    for (const char* key : {"id", "verdict", "value", "null", "threshold", "z", "types", "text"}) {
      EXPECT_TRUE(finding.contains(key)) << finding["id"] << " " << key;
    }
    EXPECT_FALSE(finding["text"].get<std::string>().empty());
  }
  EXPECT_EQ(c.verdict("unrelated"), "no");
  EXPECT_EQ(c.verdict("uniform_scaling"), "as_chance");
  EXPECT_EQ(c.verdict("common_scalar"), "yes");
  EXPECT_EQ(c.verdict("w_o_anomaly"), "no");
  EXPECT_EQ(c.verdict("co_rotation"), "as_chance");
  EXPECT_EQ(c.verdict("low_rank_update"), "no");
  EXPECT_EQ(c.verdict("sparse_update"), "no");
}

TEST(Findings, OfNothing) {
  EXPECT_TRUE(find_findings(Json::array(), Json::array()).empty());
  Comparison c;
  c.set_rows("fused", true);
  c.set_types("fused", true);
  EXPECT_TRUE(find_findings(c.rows, c.types).empty());
}

TEST(Findings, FusedRowsStayOut) {
  Comparison c;
  for (int i = 0; i < 30; ++i) {
    c.rows.push_back(c.rows[0]);
    c.rows.back()["fused"] = true;
    c.rows.back()["nf"] = 0.2;
    c.types.push_back(c.types[0]);
    c.types.back()["fused"] = true;
    c.types.back()["scale_mean"] = 0.3;
    c.types.back()["unchanged"] = 1;
  }
  EXPECT_EQ(c.verdict("unrelated"), "no");
  EXPECT_EQ(c.verdict("common_scalar"), "yes");
  EXPECT_EQ(c.verdict("sparse_update"), "no");
}

TEST(Findings, UnrelatedNeedsMostMatrices) {
  Comparison c;
  for (size_t i = 0; i < 3; ++i) c.rows[i]["nf"] = 0.17;
  EXPECT_EQ(c.verdict("unrelated"), "no");  // 3 of 7
  c.rows[3]["nf"] = 0.17;
  EXPECT_EQ(c.verdict("unrelated"), "yes");
  c.set_rows("nf", 0.159);  // 0.795 of chance
  EXPECT_EQ(c.verdict("unrelated"), "no");
  EXPECT_NEAR(c.find("unrelated")["value"].get<double>(), 0.795, 1e-12);
}

TEST(Findings, UniformScaling) {
  Comparison c;
  c.types[2]["alpha_std"] = 0.051;
  EXPECT_EQ(c.verdict("uniform_scaling"), "no");
  c.types[2]["alpha_std"] = 0.049;
  c.types[2]["null"]["alpha_std"] = 0.05;  // 0.98 of chance: within the margin of 5 %
  EXPECT_EQ(c.verdict("uniform_scaling"), "as_chance");
  c.types[2]["null"]["alpha_std"] = 0.06;  // far below its chance, but the others are at theirs
  EXPECT_EQ(c.verdict("uniform_scaling"), "some_types");
  EXPECT_EQ(c.find("uniform_scaling")["types"], Json::array({"W_V"}));
  EXPECT_EQ(c.find("uniform_scaling")["value"], 0.049);
  EXPECT_EQ(c.find("uniform_scaling")["null"], 0.06);
  for (Json& type : c.types) type["null"]["alpha_std"] = 0.06;
  EXPECT_EQ(c.verdict("uniform_scaling"), "yes");
  c.set_rows("k", 57);  // few samples scatter by themselves: 4/√57 is more than the 18 % that the least clear type has
  EXPECT_EQ(c.verdict("uniform_scaling"), "some_types");
  c.types[1]["null"] = {{"alpha_mean", nullptr}, {"alpha_std", nullptr}};
  EXPECT_EQ(c.verdict("uniform_scaling"), "unclear");
  c.types[1]["alpha_mean"] = nullptr;
  EXPECT_EQ(c.verdict("uniform_scaling"), "undefined");
}

TEST(Findings, CommonScalar) {
  Comparison c;
  c.set_types("scale_mean", 0.9);
  EXPECT_EQ(c.verdict("common_scalar"), "yes");
  EXPECT_NEAR(c.find("common_scalar")["value"].get<double>(), 0.9, 1e-12);
  c.types[0]["scale_mean"] = 0.9028;  // 0.0024 above the mean
  EXPECT_EQ(c.verdict("common_scalar"), "no");
  c.set_types("scale_mean", 1.1);
  const std::string text = c.find("common_scalar")["text"].get<std::string>();
  EXPECT_EQ(text.find("nan"), text.npos) << text;
  EXPECT_NE(text.find("less than 1"), text.npos) << text;
}

TEST(Findings, WoAnomaly) {
  Comparison c;
  c.types[3]["alpha_mean"] = 1.19;
  EXPECT_EQ(c.verdict("w_o_anomaly"), "no");
  c.types[3]["alpha_mean"] = 1.21;
  EXPECT_EQ(c.verdict("w_o_anomaly"), "yes");
  EXPECT_NEAR(c.find("w_o_anomaly")["value"].get<double>(), 0.21, 1e-12);
  c.types.erase(3);
  EXPECT_EQ(c.verdict("w_o_anomaly"), "absent");
}

// An effect over the margin (2 %) and |z| > 4 are both needed.
TEST(Findings, CoRotation) {
  Comparison c;
  c.set_types("counter_over_co", 0.9);
  EXPECT_EQ(c.verdict("co_rotation"), "yes");
  // Seven types of equal energy: sd 0.01/√7.
  EXPECT_NEAR(c.find("co_rotation")["z"].get<double>(), -0.1 / (0.01 / std::sqrt(7.0)), 1e-9);
  EXPECT_EQ(c.find("co_rotation")["types"].size(), 7u);
  c.set_types("counter_over_co_sd", 0.1);  // z = −2.6
  EXPECT_EQ(c.verdict("co_rotation"), "as_chance");
  c.set_types("counter_over_co_sd", 1e-4);
  c.set_types("counter_over_co", 0.985);  // z = −400, an effect of 1.5 %
  EXPECT_EQ(c.verdict("co_rotation"), "as_chance");
  c.set_types("counter_over_co", 1.0);
  c.types[2]["counter_over_co"] = 0.9;
  EXPECT_EQ(c.verdict("co_rotation"), "some_types");
  EXPECT_EQ(c.find("co_rotation")["types"], Json::array({"W_V"}));
  c.set_types("counter_over_co", 1.3);  // more counter-rotation than chance is not co-rotation
  EXPECT_EQ(c.verdict("co_rotation"), "as_chance");
  c.set_types("counter_over_co", nullptr);
  EXPECT_EQ(c.verdict("co_rotation"), "undefined");
}

TEST(Findings, LowRank) {
  Comparison c;  // noise of 64 x 64: stable rank 64²/(4·64) = 16
  c.set_rows("stable_rank", 1.7);
  EXPECT_EQ(c.verdict("low_rank_update"), "no");
  c.set_rows("stable_rank", 1.5);
  EXPECT_EQ(c.verdict("low_rank_update"), "yes");
  c.set_rows("stable_rank", nullptr);
  EXPECT_EQ(c.verdict("low_rank_update"), "undefined");
  EXPECT_TRUE(c.find("low_rank_update")["value"].is_null());
}

// What no matrix defines is neither found nor refuted, and no text says "nan".
TEST(Findings, OfWhatIsNotDefined) {
  Comparison c;
  for (const char* key : {"nf", "stable_rank"}) c.set_rows(key, nullptr);
  for (const char* key : {"alpha_mean", "alpha_std", "scale_mean", "counter_over_co"}) c.set_types(key, nullptr);
  for (const char* id :
       {"unrelated", "uniform_scaling", "common_scalar", "w_o_anomaly", "co_rotation", "low_rank_update"}) {
    EXPECT_EQ(c.verdict(id), "undefined") << id;
    EXPECT_TRUE(c.find(id)["value"].is_null()) << id;
  }
  for (const Json& finding : find_findings(c.rows, c.types)) {
    const auto text = finding["text"].get<std::string>();
    EXPECT_EQ(text.find("nan"), text.npos) << text;
  }
}

// Some matrices that define nothing leave the word to the others.
TEST(Findings, OfWhatIsDefinedInPart) {
  Comparison c;
  for (size_t i = 0; i < 4; ++i) c.rows[i]["nf"] = nullptr;
  EXPECT_EQ(c.verdict("unrelated"), "no");
  for (size_t i = 4; i < 6; ++i) c.rows[i]["nf"] = 0.19;  // 2 of the 3 that have an NF
  EXPECT_EQ(c.verdict("unrelated"), "yes");
  EXPECT_NEAR(c.find("unrelated")["value"].get<double>(), 0.95, 1e-12);
  c.types[0]["scale_mean"] = nullptr;
  EXPECT_EQ(c.verdict("common_scalar"), "yes");
  EXPECT_TRUE(c.find("common_scalar")["text"].get<std::string>().ends_with(
      "c is undefined for W_Q, because the base has a matrix of zeros there."));
  EXPECT_EQ(c.find("common_scalar")["types"].size(), 6u);
  c.types[1]["alpha_mean"] = nullptr;
  EXPECT_EQ(c.verdict("w_o_anomaly"), "no");
  EXPECT_NEAR(c.find("w_o_anomaly")["value"].get<double>(), 0, 1e-12);
  c.types[3]["alpha_mean"] = nullptr;
  EXPECT_EQ(c.verdict("w_o_anomaly"), "undefined");
}

TEST(Findings, Sparse) {
  Comparison c;
  c.set_types("unchanged", 0.24);
  EXPECT_EQ(c.verdict("sparse_update"), "no");
  c.set_types("unchanged", 0.26);
  EXPECT_EQ(c.verdict("sparse_update"), "yes");
}

}  // namespace
}  // namespace gyro
