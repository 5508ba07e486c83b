#include "gyro/study/stages.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "gyro/edit/variants.h"
#include "gyro/eval/task.h"
#include "gyro/eval/variant_models.h"

namespace gyro {
namespace {

StudyRequest request() {
  StudyRequest out;
  out.base = "base";
  out.posts = {{"models/a", "a", ""}, {"models/b", "b", "models/a"}};
  out.out = "study";
  return out;
}

std::vector<StageKind> kinds(const StudyRequest& of) {
  std::vector<StageKind> out;
  for (const Stage& stage : study_stages(of)) out.push_back(stage.kind);
  return out;
}

bool has(const Stage& stage, const std::string& word) {
  return std::ranges::find(stage.words, word) != stage.words.end();
}

TEST(Stages, WhatWasNotGivenHasNone) {
  StudyRequest one = request();
  one.posts.resize(1);
  using enum StageKind;
  EXPECT_EQ(kinds(one), (std::vector{Diff, Attention, Cka, Drift}));
  one.tasks = {"gsm8k"};
  EXPECT_EQ(kinds(one), (std::vector{Diff, Attention, Evaluation, Cka, Drift}));
  EXPECT_EQ(kinds(request()), (std::vector{Diff, Attention, Cka, Drift, Attention, Cka, Drift, Rotation}));
}

TEST(Stages, EachWritesItsOwnFile) {
  std::vector<std::string> files;
  for (const Stage& stage : study_stages(request())) files.push_back(stage.gives.string());
  std::ranges::sort(files);
  EXPECT_EQ(std::ranges::adjacent_find(files), files.end());
}

TEST(Stages, TheSiblingGoesWhereTheFactorsOfOneAreTaken) {
  StudyRequest of = request();
  of.tasks = {"gsm8k"};
  for (const Stage& stage : study_stages(of)) {
    const bool takes = stage.post == "b" && (stage.kind == StageKind::Evaluation || stage.kind == StageKind::Cka);
    EXPECT_EQ(has(stage, "--sibling"), takes) << stage_title(stage);
  }
}

TEST(Stages, ProbesPutTheQuestionsThatAreThere) {
  StudyRequest of = request();
  const auto questions = [](const StudyRequest& asked, StageKind kind) {
    for (const Stage& stage : study_stages(asked)) {
      if (stage.kind != kind) continue;
      return *(std::ranges::find(stage.words, "--questions") + 1);
    }
    return std::string();
  };
  EXPECT_EQ(questions(of, StageKind::Cka), "study/questions.jsonl");
  of.tasks = {"gsm8k", "mmlu"};
  EXPECT_EQ(questions(of, StageKind::Attention), "gsm8k,mmlu") << "one of each domain";
  EXPECT_EQ(questions(of, StageKind::Cka), "gsm8k");
  of.questions = "mine.jsonl";
  EXPECT_EQ(questions(of, StageKind::Attention), "mine.jsonl");
}

TEST(Stages, AllVariantsAreThereToBeBuilt) {
  for (const auto& names : {evaluated_variants(true), attention_variants(), cka_variants(true)}) {
    for (const std::string& name : expand_variants(names)) {
      EXPECT_TRUE(name == kOriginal || named_variant(name)) << name;
    }
  }
}

TEST(Stages, BuiltInQuestionsAreThoseOfTheFile) {
  const Task task = read_task("q", std::string(GYRO_SOURCE_DIR) + "/data/tiny_gsm8k.jsonl", 0);
  const std::string_view text = built_in_questions();
  EXPECT_EQ(static_cast<size_t>(std::ranges::count(text, '\n')), task.questions.size());
  EXPECT_NE(text.find(task.questions.back().text), text.npos);
}

}  // namespace
}  // namespace gyro
