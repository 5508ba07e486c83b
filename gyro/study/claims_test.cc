#include "gyro/study/claims.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>

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
  const std::pair<const std::string, Cell> noise = {"replace-noise", {0.4, 0.1}};
  EXPECT_EQ(of_answers("replacement", 0.9, {{"replace", {0.89, 0.02}}, noise}).verdict, ClaimVerdict::Supported);
  EXPECT_EQ(of_answers("replacement", 0.9, {{"replace", {0.89, 0.02}}}).verdict, ClaimVerdict::Unclear) << "no control";
  EXPECT_EQ(of_answers("replacement", 0.9, {{"replace", {0.89, 0.2}}, noise}).verdict, ClaimVerdict::Unclear)
      << "few questions";
  EXPECT_EQ(of_answers("replacement", 0.9, {{"replace", {0.6, 0.1, 0.001}}, noise}).verdict,
            ClaimVerdict::NotSupported);
  EXPECT_EQ(
      of_answers("replacement", 0.9, {{"replace", {0.89, 0.01}}, {"replace-scaled", {0.895, 0.1}}, noise}).verdict,
      ClaimVerdict::Unclear)
      << "every interval counts, not that of the largest loss alone";
  const Claim claim = of_answers("replacement", 0.9, {{"replace", {0.9, 0.02}}, {"replace-noise", {0.9, 0.02}}});
  EXPECT_EQ(claim.verdict, ClaimVerdict::AsItsControl);
  EXPECT_EQ(claim.control, "replace-noise 100 %");
  EXPECT_TRUE(claim.why.starts_with("the largest loss is 0.0 points, with 95 % none is larger than 2.0")) << claim.why;
}

TEST(Claims, ALossOfOneTaskIsNotJudgedByAnothersGain) {
  StudyDocuments documents;
  documents.evaluation = evaluation(0.5, {{"replace", {0.44, 0.2, 0.9}}});  // lost, not significantly
  const Json gain = evaluation(0.5, {{"replace", {0.9, 0.1, 0.001}}});      // a significant gain
  for (Json cell : gain.at("cells")) {
    cell["task"] = "u";
    documents.evaluation["cells"].push_back(cell);
  }
  EXPECT_EQ(claim_of(documents, "replacement").verdict, ClaimVerdict::Unclear);
}

TEST(Claims, AblationStandsBesideItsControls) {
  EXPECT_EQ(of_answers("ablation", 1, {{"ablate-mlp-in", {0}}}).verdict, ClaimVerdict::Unclear) << "no control";
  EXPECT_EQ(of_answers("ablation", 1, {{"ablate-mlp-in", {0}}, {"ablate-mlp-in-fake", {0}}}).verdict,
            ClaimVerdict::AsItsControl);
  EXPECT_EQ(of_answers("ablation", 1, {{"ablate-mlp-in", {0}}, {"ablate-mlp-in-fake", {0.9}}}).verdict,
            ClaimVerdict::Supported);
  const std::map<std::string, Cell> signs = {
      {"ablate-mlp-in", {0}}, {"ablate-mlp-in-fake", {0}}, {"ablate-mlp-in-aligned", {0.95}}};
  EXPECT_EQ(of_answers("ablation", 1, signs).verdict, ClaimVerdict::AsItsControl) << "a kept control is none less";
  EXPECT_EQ(of_answers("ablation", 1, {{"ablate-mlp-in", {0}}, {"ablate-mlp-in-aligned", {0.95}}}).verdict,
            ClaimVerdict::AsItsControl)
      << "signs alone destroy it";
  EXPECT_EQ(of_answers("ablation", 1, {{"ablate-mlp-in", {0.9}}}).verdict, ClaimVerdict::NotSupported);
  EXPECT_EQ(of_answers("ablation", 1, {{"ablate-mlp-in", {0}}, {"ablate-mlp-out", {0.5}}}).verdict,
            ClaimVerdict::Unclear);
  const Claim nothing = of_answers("ablation", 0, {{"ablate-mlp-in", {0}}});
  EXPECT_EQ(nothing.verdict, ClaimVerdict::NotTested) << "an original that answers nothing has nothing to lose";
  EXPECT_TRUE(nothing.why.starts_with("the original answers no task right")) << nothing.why;
}

TEST(Claims, AnAblationThatKeepsOneTaskDestroysNotAll) {
  StudyDocuments documents;
  const std::map<std::string, Cell> variants = {{"ablate-mlp-in", {0}}, {"ablate-mlp-in-fake", {0.9}}};
  documents.evaluation = evaluation(1, variants);
  const Json choices = evaluation(0.6, {{"ablate-mlp-in", {0.25}}, {"ablate-mlp-in-fake", {0.6}}});
  for (Json cell : choices.at("cells")) {
    cell["task"] = "choices";  // where a guess is a quarter right
    documents.evaluation["cells"].push_back(cell);
  }
  EXPECT_EQ(claim_of(documents, "ablation").verdict, ClaimVerdict::Unclear);
  EXPECT_NE(claim_of(documents, "ablation").figure.find("ablate-mlp-in 0-42 %"), std::string::npos);
}

TEST(Claims, RestorationStandsBesideAFakeBase) {
  const auto with = [](double restored, double fake) {
    return of_answers("restoration", 1, {{"restore-mlp-out", {restored}}, {"restore-mlp-out-fake", {fake}}}).verdict;
  };
  EXPECT_EQ(of_answers("restoration", 1, {{"restore-mlp-out", {0.95}}}).verdict, ClaimVerdict::Unclear) << "no control";
  EXPECT_EQ(with(0.95, 0.1), ClaimVerdict::Supported);
  EXPECT_EQ(with(0.95, 1), ClaimVerdict::AsItsControl);
  EXPECT_EQ(with(0.8, 0.79), ClaimVerdict::AsItsControl) << "a hair below the bound is no difference";
  EXPECT_EQ(with(0.5, 1), ClaimVerdict::Unclear);
  EXPECT_EQ(with(0, 1), ClaimVerdict::NotSupported);
  const std::map<std::string, Cell> sibling = {{"restore-mlp-out-sibling", {0.9}}, {"restore-mlp-out-fake", {0.2}}};
  EXPECT_EQ(of_answers("sibling", 1, sibling).verdict, ClaimVerdict::Supported);
  EXPECT_EQ(of_answers("restoration", 1, sibling).verdict, ClaimVerdict::NotTested);
  EXPECT_EQ(of_answers("sibling", 1, {{"restore-mlp-out", {0.95}}}).verdict, ClaimVerdict::NotTested);
}

struct Heard {
  double difference, kl, fitted, expected;
};

Json attention(const Heard& replaced, const std::optional<Heard>& noise) {
  const auto of = [](const char* subject, const Heard& heard) {
    return Json{{"subject", subject},
                {"blocks",
                 {{{"entropy_difference", heard.difference},
                   {"temperature", 1.01},
                   {"explained", 1 - heard.fitted / heard.kl},
                   {"kl", heard.kl},
                   {"kl_fitted", heard.fitted},
                   {"kl_expected", heard.expected}}}}};
  };
  Json comparisons = {of("replace", replaced)};
  if (noise) comparisons.push_back(of("replace-noise", *noise));
  return {{"subjects", {{{"name", "original"}, {"entropy_mean", {{2.0}}}}}}, {"comparisons", comparisons}};
}

ClaimVerdict of_attention(const std::string& id, const Heard& replaced, const std::optional<Heard>& noise) {
  StudyDocuments documents;
  documents.attention = attention(replaced, noise);
  return claim_of(documents, id).verdict;
}

TEST(Claims, EntropyIsHeldAgainstNoiseOfTheSameSize) {
  EXPECT_EQ(of_attention("attention_entropy", {-0.01, 1, 1, 1}, Heard{0.2, 1, 1, 1}), ClaimVerdict::Supported);
  EXPECT_EQ(of_attention("attention_entropy", {-0.01, 1, 1, 1}, Heard{0.01, 1, 1, 1}), ClaimVerdict::AsItsControl);
  EXPECT_EQ(of_attention("attention_entropy", {-0.01, 1, 1, 1}, {}), ClaimVerdict::Unclear);
  EXPECT_EQ(of_attention("attention_entropy", {0.5, 1, 1, 1}, Heard{0.01, 1, 1, 1}), ClaimVerdict::NotSupported);
}

TEST(Claims, ATemperatureIsTheExpectedOneOrNotSupported) {
  const Heard noise = {0, 1, 0.95, 0.97};
  EXPECT_EQ(of_attention("temperature", {0, 1, 0.1, 0.15}, noise), ClaimVerdict::Supported);
  EXPECT_EQ(of_attention("temperature", {0, 1, 0.1, 0.9}, noise), ClaimVerdict::Unclear) << "another temperature";
  EXPECT_EQ(of_attention("temperature", {0, 1, 0.1, NAN}, noise), ClaimVerdict::Unclear) << "none is expected";
  EXPECT_EQ(of_attention("temperature", {0, 1, 0.1, 0.15}, Heard{0, 1, 0.15, 0.2}), ClaimVerdict::AsItsControl);
  EXPECT_EQ(of_attention("temperature", {0, 1, 0.1, 0.15}, {}), ClaimVerdict::Unclear) << "no control";
  EXPECT_EQ(of_attention("temperature", {0, 1, 0.7, 0.75}, noise), ClaimVerdict::NotSupported);
  StudyDocuments documents;
  documents.attention = attention({0, 1, 0.1, 0.15}, noise);
  documents.attention["comparisons"][0]["blocks"][0]["explained"] = nullptr;  // undefined is not 0
  EXPECT_EQ(claim_of(documents, "temperature").verdict, ClaimVerdict::NotTested);
}

TEST(Claims, RepresentationsStandBesideAFakeBase) {
  const auto subject = [](const std::string& name, double distance) {
    return Json{{"name", name},
                {"kind", name.ends_with("-fake") ? "control" : "variant"},
                {"distance", {{"question_mean", 0.9}, {"question_mean_unbiased", distance}}}};
  };
  const auto of = [&](double ablated, double restored, std::optional<std::pair<double, double>> fakes) {
    StudyDocuments documents;
    documents.cka = {{"subjects", {subject("ablate-mlp-out", ablated), subject("restore-mlp-out", restored)}}};
    if (fakes) documents.cka["subjects"].push_back(subject("ablate-mlp-out-fake", fakes->first));
    if (fakes) documents.cka["subjects"].push_back(subject("restore-mlp-out-fake", fakes->second));
    return claim_of(documents, "representations").verdict;
  };
  EXPECT_EQ(of(0.5, 0.02, {}), ClaimVerdict::Unclear) << "no control";
  EXPECT_EQ(of(0.5, 0.02, std::pair{0.5, 0.4}), ClaimVerdict::Supported);
  EXPECT_EQ(of(0.5, 0.02, std::pair{0.5, 0.01}), ClaimVerdict::AsItsControl);
  EXPECT_EQ(of(0.5, 0.245, std::pair{0.5, 0.255}), ClaimVerdict::AsItsControl) << "a hair";
  EXPECT_EQ(of(0.5, 0.45, std::pair{0.5, 0.01}), ClaimVerdict::NotSupported);
  EXPECT_EQ(of(0.001, 0.0001, std::pair{0.5, 0.4}), ClaimVerdict::NotSupported) << "nothing breaks";
}

TEST(Claims, SharedRotationsAreJudgedAsTheProbeDoes) {
  const auto of = [](const std::vector<std::string>& carried, bool unrelated = false) {
    StudyDocuments documents;
    for (const std::string& one : carried) {
      documents.rotations.push_back({{"verdicts", {{"unrelated", unrelated}, {"carried", one}}},
                                     {"all", {{"explained", 0.4}, {"explained_null", 0.3}}}});
    }
    return claim_of(documents, "shared_rotation").verdict;
  };
  EXPECT_EQ(of({"above"}), ClaimVerdict::Supported);
  EXPECT_EQ(of({"as_null"}), ClaimVerdict::AsItsControl);
  EXPECT_EQ(of({"below"}), ClaimVerdict::AsItsControl);
  EXPECT_EQ(of({"above", "as_null"}), ClaimVerdict::Unclear);
  EXPECT_EQ(of({"undefined"}), ClaimVerdict::Unclear);
  EXPECT_EQ(of({"above"}, true), ClaimVerdict::NotTested) << "another base's";
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
