#include "gyro/study/claims.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

namespace gyro {
namespace {

struct Cell {
  double accuracy, low = 0, p = 1;
};

// An evaluation of one task in which the original has `original`.
Json evaluation(double original, const std::map<std::string, Cell>& variants) {
  Json cells = Json::array();
  cells.push_back(
      {{"variant", "original"}, {"task", "t"}, {"accuracy", {{"mean", original}}}, {"against_first", nullptr}});
  for (const auto& [name, cell] : variants) {
    const double difference = cell.accuracy - original;
    cells.push_back(
        {{"variant", name},
         {"task", "t"},
         {"accuracy", {{"mean", cell.accuracy}}},
         {"against_first", {{"difference", difference}, {"low", difference - cell.low}, {"p_adjusted", cell.p}}}});
  }
  return {{"cells", cells}};
}

Claim claim_of(const StudyDocuments& documents, const std::string& id) {
  const std::vector<Claim> claims = judge_claims(documents);
  const auto it = std::ranges::find(claims, id, &Claim::id);
  EXPECT_NE(it, claims.end()) << id;
  return it == claims.end() ? Claim{} : *it;
}

Claim of_answers(const std::string& id, double original, const std::map<std::string, Cell>& variants) {
  StudyDocuments documents;
  documents.evaluation = evaluation(original, variants);
  return claim_of(documents, id);
}

Json finding(const std::string& id, const std::string& verdict) {
  return {{"id", id}, {"verdict", verdict}, {"text", "the text of " + id}};
}

TEST(Claims, NothingIsSaidOfWhatWasNotRun) {
  const std::vector<Claim> claims = judge_claims({});
  EXPECT_EQ(claims.size(), 11U);
  for (const Claim& claim : claims) {
    EXPECT_EQ(claim.verdict, ClaimVerdict::NotTested) << claim.id;
    EXPECT_EQ(claim.figure, "") << claim.id;
    EXPECT_NE(claim.why, "") << claim.id;
  }
}

TEST(Claims, OfWeightsTakeTheDiffsFindings) {
  const std::map<std::string, ClaimVerdict> expected = {
      {"yes", ClaimVerdict::Supported},         {"as_chance", ClaimVerdict::AsItsControl},
      {"rounding", ClaimVerdict::AsItsControl}, {"no", ClaimVerdict::NotSupported},
      {"counter", ClaimVerdict::NotSupported},  {"some_types", ClaimVerdict::Unclear},
      {"undefined", ClaimVerdict::Unclear}};
  for (const auto& [verdict, claimed] : expected) {
    StudyDocuments documents;
    documents.comparison = {{"findings", {finding("uniform_scaling", verdict)}}, {"types", Json::array()}};
    const Claim claim = claim_of(documents, "uniform_scaling");
    EXPECT_EQ(claim.verdict, claimed) << verdict;
    EXPECT_EQ(claim.figure, "the text of uniform_scaling");
    EXPECT_EQ(claim_of(documents, "co_rotation").verdict, ClaimVerdict::NotTested) << "another finding";
  }
}

TEST(Claims, ReplacementNeedsAnIntervalThatExcludesALoss) {
  EXPECT_EQ(of_answers("replacement", 0.9, {{"replace", {0.89, 0.02}}}).verdict, ClaimVerdict::Supported);
  EXPECT_EQ(of_answers("replacement", 0.9, {{"replace", {0.89, 0.2}}}).verdict, ClaimVerdict::Unclear)
      << "few questions";
  EXPECT_EQ(of_answers("replacement", 0.9, {{"replace", {0.6, 0.1, 0.001}}}).verdict, ClaimVerdict::NotSupported);
  EXPECT_EQ(of_answers("replacement", 0.9, {{"replace", {0.89, 0.02}}, {"replace-scaled", {0.5, 0.1, 0.001}}}).verdict,
            ClaimVerdict::NotSupported)
      << "the worst of them counts";
  const Claim claim = of_answers("replacement", 0.9, {{"replace", {0.9, 0.02}}, {"replace-noise", {0.9, 0.02}}});
  EXPECT_EQ(claim.verdict, ClaimVerdict::AsItsControl);
  EXPECT_EQ(claim.control, "noise of the same size: replace-noise 100 %");
  EXPECT_EQ(of_answers("replacement", 0.9, {{"replace", {0.9, 0.02}}, {"replace-noise", {0.4, 0.1}}}).verdict,
            ClaimVerdict::Supported);
}

TEST(Claims, AblationStandsBesideItsControls) {
  EXPECT_EQ(of_answers("ablation", 1, {{"ablate-mlp-in", {0}}}).verdict, ClaimVerdict::Supported);
  EXPECT_EQ(of_answers("ablation", 1, {{"ablate-mlp-in", {0}}, {"ablate-mlp-in-fake", {0}}}).verdict,
            ClaimVerdict::AsItsControl);
  EXPECT_EQ(of_answers("ablation", 1, {{"ablate-mlp-in", {0}}, {"ablate-mlp-in-fake", {0.9}}}).verdict,
            ClaimVerdict::Supported);
  EXPECT_EQ(of_answers("ablation", 1, {{"ablate-mlp-in", {0.9}}}).verdict, ClaimVerdict::NotSupported);
  EXPECT_EQ(of_answers("ablation", 1, {{"ablate-mlp-in", {0}}, {"ablate-mlp-out", {0.5}}}).verdict,
            ClaimVerdict::Unclear);
  EXPECT_EQ(of_answers("ablation", 0, {{"ablate-mlp-in", {0}}}).verdict, ClaimVerdict::NotTested)
      << "an original that answers nothing has nothing to lose";
}

TEST(Claims, RestorationStandsBesideAFakeBase) {
  const std::map<std::string, Cell> alone = {{"restore-mlp-out", {0.95}}};
  EXPECT_EQ(of_answers("restoration", 1, alone).verdict, ClaimVerdict::Supported);
  EXPECT_EQ(of_answers("restoration", 1, {{"restore-mlp-out", {0.95}}, {"restore-mlp-out-fake", {1}}}).verdict,
            ClaimVerdict::AsItsControl);
  EXPECT_EQ(of_answers("restoration", 1, {{"restore-mlp-out", {0.5}}, {"restore-mlp-out-fake", {1}}}).verdict,
            ClaimVerdict::Unclear);
  EXPECT_EQ(of_answers("restoration", 1, {{"restore-mlp-out", {0}}}).verdict, ClaimVerdict::NotSupported);
  EXPECT_EQ(of_answers("sibling", 1, alone).verdict, ClaimVerdict::NotTested);
  EXPECT_EQ(of_answers("sibling", 1, {{"restore-mlp-out-sibling", {0.9}}}).verdict, ClaimVerdict::Supported);
  EXPECT_EQ(of_answers("restoration", 1, {{"restore-mlp-out-sibling", {0.9}}}).verdict, ClaimVerdict::NotTested);
}

Json attention(double replaced, double noise, double temperature, double explained, double noise_explained) {
  const auto of = [](const char* subject, double difference, double t, double share) {
    return Json{{"subject", subject},
                {"blocks", {{{"entropy_difference", difference}, {"temperature", t}, {"explained", share}}}}};
  };
  return {{"subjects", {{{"name", "original"}, {"entropy_mean", {{2.0}}}}}},
          {"alpha", {{{"block", 0}, {"expected", 1.01}}}},
          {"comparisons",
           {of("replace", replaced, temperature, explained), of("replace-noise", noise, 1, noise_explained)}}};
}

TEST(Claims, AttentionIsHeldAgainstNoiseOfTheSameSize) {
  StudyDocuments documents;
  documents.attention = attention(-0.01, 0.2, 1.01, 0.9, 0.05);
  EXPECT_EQ(claim_of(documents, "attention_entropy").verdict, ClaimVerdict::Supported);
  EXPECT_EQ(claim_of(documents, "temperature").verdict, ClaimVerdict::Supported);
  EXPECT_NE(claim_of(documents, "temperature").figure.find("1/(α_Q α_K) is 1.0100"), std::string::npos);
  documents.attention = attention(-0.01, 0.01, 1.01, 0.9, 0.85);
  EXPECT_EQ(claim_of(documents, "attention_entropy").verdict, ClaimVerdict::AsItsControl);
  EXPECT_EQ(claim_of(documents, "temperature").verdict, ClaimVerdict::AsItsControl);
  documents.attention = attention(0.5, 0.01, 1.01, 0.2, 0.05);
  EXPECT_EQ(claim_of(documents, "attention_entropy").verdict, ClaimVerdict::NotSupported);
  EXPECT_EQ(claim_of(documents, "temperature").verdict, ClaimVerdict::NotSupported);
  documents.attention["comparisons"][0]["blocks"][0]["explained"] = nullptr;  // undefined is not 0
  EXPECT_EQ(claim_of(documents, "temperature").verdict, ClaimVerdict::NotTested);
}

TEST(Claims, RepresentationsStandBesideAFakeBase) {
  const auto subject = [](const char* name, double distance) {
    return Json{{"name", name}, {"distance", {{"question_mean", distance}}}};
  };
  StudyDocuments documents;
  documents.cka = {{"subjects", {subject("ablate-mlp-out", 0.5), subject("restore-mlp-out", 0.02)}}};
  EXPECT_EQ(claim_of(documents, "representations").verdict, ClaimVerdict::Supported);
  documents.cka["subjects"].push_back(subject("ablate-mlp-out-fake", 0.5));
  documents.cka["subjects"].push_back(subject("restore-mlp-out-fake", 0.01));
  EXPECT_EQ(claim_of(documents, "representations").verdict, ClaimVerdict::AsItsControl);
  documents.cka["subjects"][1] = subject("restore-mlp-out", 0.45);
  EXPECT_EQ(claim_of(documents, "representations").verdict, ClaimVerdict::NotSupported);
}

TEST(Claims, SharedRotationsStandBesideNoise) {
  const auto documents = [](double error, double null) {
    StudyDocuments out;
    out.rotations = {{{"matrices", {{{"carry_error", error}, {"carry_error_null", null}}}}}};
    return out;
  };
  EXPECT_EQ(claim_of(documents(0.2, 0.8), "shared_rotation").verdict, ClaimVerdict::Supported);
  EXPECT_EQ(claim_of(documents(0.2, 0.2), "shared_rotation").verdict, ClaimVerdict::AsItsControl);
  EXPECT_EQ(claim_of(documents(0.9, 1.0), "shared_rotation").verdict, ClaimVerdict::NotSupported);
}

TEST(Claims, DocumentsOfWhomeverDoNotEndTheProgram) {
  StudyDocuments documents;
  for (const char* text : {"[]", "5", "{}", R"({"cells":5,"subjects":{},"comparisons":[1,null],"findings":[3]})",
                           R"({"cells":[{"variant":5,"accuracy":null}],"subjects":[[]],"findings":{"a":1}})"}) {
    const Json json = Json::parse(text);
    documents.comparison = documents.evaluation = documents.attention = documents.cka = json;
    documents.rotations = {json};
    for (const Claim& claim : judge_claims(documents)) EXPECT_EQ(claim.verdict, ClaimVerdict::NotTested) << claim.id;
  }
}

}  // namespace
}  // namespace gyro
