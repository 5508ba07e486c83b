#include "gyro/report/evaluation.h"

#include <gtest/gtest.h>

#include "gyro/base/test_util.h"
#include "gyro/report/input.h"
#include "gyro/report/report.h"

namespace gyro {
namespace {

Json cell(const char* variant, double mean, bool collapsed) {
  const Json accuracy = {{"mean", mean}, {"low", mean}, {"high", mean}, {"clusters", 0}};
  return {{"variant", variant},
          {"task", "sums"},
          {"questions", 3},
          {"repeats", 1},
          {"accuracy", accuracy},
          {"accuracy_flexible", accuracy},
          {"decoding_noise", nullptr},
          {"tokens", nullptr},
          {"tokens_noise", nullptr},
          {"truncated", 0.0},
          {"no_answer", 0.0},
          {"collapsed", collapsed},
          {"against_first", nullptr}};
}

// Three questions; the original answers the first two, the other one none.
Json document() {
  return {{"schema", "gyro.eval/1"},
          {"finished", true},
          {"options", {{"max_tokens", 8}}},
          {"models", {{{"role", "base"}, {"path", "m/base"}}, {{"role", "post"}, {"path", "m/sft/"}}}},
          {"tasks", {{{"name", "sums"}, {"questions", 3}}}},
          {"variants", {{{"name", "original"}}, {{"name", "replace"}}}},
          {"cells", {cell("original", 2.0 / 3, false), cell("replace", 0, false)}},
          {"matrix",
           {{"sums",
             {{"ids", {"a", "b", "c"}}, {"right", {{"original", {1.0, 1.0, 0.0}}, {"replace", {0.0, 0.0, 0.0}}}}}}}}};
}

std::string line(const std::string& variant, const std::string& id, const std::string& output, const Json& tokens) {
  const Json json = {{"id", id},
                     {"task", "sums"},
                     {"variant", variant},
                     {"repeat", 0},
                     {"question", "what of " + id},
                     {"output", output},
                     {"extracted", ""},
                     {"verdict", "wrong"},
                     {"verdict_flexible", "wrong"},
                     {"rule", "r"},
                     {"tokens", tokens},
                     {"finish", "stop"}};
  return json.dump() + "\n";
}

TEST(Evaluation, QuestionsAreChosenByRule) {
  // By question: parts 1 of 3, all right, parts 1 of 3 the other way, all wrong, all right but of the collapsed one.
  const std::vector<std::vector<double>> right = {{1, 1, 0, 0, 1}, {0, 1, 1, 0, 1}, {0, 0.5, 0, 0.4, 0}};
  const ChosenQuestions whole = choose_questions(right, {false, false, false}, 8, 2);
  EXPECT_EQ(whole.parted, (std::vector<size_t>{0, 2, 4}));
  EXPECT_EQ(whole.agreed, (std::vector<size_t>{1, 3}));
  const ChosenQuestions heard = choose_questions(right, {false, false, true}, 1, 1);
  EXPECT_EQ(heard.parted, (std::vector<size_t>{0}));
  EXPECT_EQ(heard.agreed, (std::vector<size_t>{1, 3}));
  EXPECT_EQ(choose_questions(right, {true, true, true}, 8, 2).agreed, std::vector<size_t>());
  // The more even part first.
  const std::vector<std::vector<double>> four = {{1, 1}, {0, 1}, {0, 0}, {0, 0}};
  EXPECT_EQ(choose_questions(four, std::vector<bool>(4, false), 8, 2).parted, (std::vector<size_t>{1, 0}));
}

TEST(Evaluation, LengthsAndOutputsComeOfSamples) {
  TempDir dir;
  std::string samples;
  for (int i = 0; i < 5; ++i) samples += line("original", "c", "out", i * 10);
  samples += line("replace", "a", "no length", nullptr) + line("gone", "a", "x", 3) + "{\"torn";
  write_text(dir / "samples.jsonl", samples);
  const Json data = evaluation_data({(dir / "run").string(), document(), dir / "samples.jsonl"}, 4, 1'000'000);
  EXPECT_EQ(data["result"], 4);
  EXPECT_EQ(data["name"], "base → sft");
  EXPECT_EQ(data["lengths"][0][0], (Json{{"answers", 5}, {"quantiles", {0, 10, 20, 30, 40}}}));
  EXPECT_TRUE(data["lengths"][0][1].is_null());
  EXPECT_EQ(data["matrix"][0]["texts"], (Json{"what of a", "", "what of c"}));
  EXPECT_EQ(data["matrix"][0]["right"], (Json{{1.0, 1.0, 0.0}, {0.0, 0.0, 0.0}}));
  ASSERT_EQ(data["examples"].size(), 3U);
  EXPECT_EQ(data["examples"][0]["answers"][1]["begin"], "no length");
  EXPECT_TRUE(data["examples"][0]["answers"][0].is_null());
  const Json alone = evaluation_data({"run", document(), {}}, -1, 1'000'000);
  EXPECT_TRUE(alone["lengths"].is_null() && alone["examples"].empty() && alone["result"].is_null());
}

TEST(Evaluation, TextsAreCutAsFarAsTheBudgetAsks) {
  TempDir dir;
  std::string output;
  for (int i = 0; i < 5000; ++i) output += "é<";
  write_text(dir / "samples.jsonl", line("original", "a", output, 3));
  const EvaluationInput input{"run", document(), dir / "samples.jsonl"};
  size_t last = 0;
  for (const size_t budget : {200'000, 14'000, 8'000}) {
    const Json data = evaluation_data(input, -1, budget);
    const Json& answer = data["examples"][0]["answers"][0];
    const std::string begin = answer["begin"], end = answer["end"];
    EXPECT_EQ(begin.size() + end.size() + answer["left_out"].get<size_t>(), output.size());
    EXPECT_TRUE(output.starts_with(begin) && output.ends_with(end));
    EXPECT_LT(last, answer["left_out"].get<size_t>());
    last = answer["left_out"].get<size_t>();
    EXPECT_NO_THROW(static_cast<void>(data.dump()));  // which is strict of UTF-8
  }
  EXPECT_THROW(evaluation_data(input, -1, 1000), ReportTooLarge);
}

TEST(Evaluation, WhatIsNoneIsRefused) {
  EXPECT_EQ(parse_evaluation("eval.json", document().dump()), document());
  Json unfinished = document();
  unfinished["finished"] = false;
  unfinished.erase("cells");
  EXPECT_EQ(error_of([&] { parse_evaluation("eval.json", unfinished.dump()); }),
            "eval.json: is of an evaluation that has not ended: the same gyro eval command goes on with it");
  for (const char* key : {"schema", "finished", "options", "models", "tasks", "variants", "cells", "matrix"}) {
    for (const Json& other : {Json(), Json("x"), Json(7), Json::array(), Json::object()}) {
      Json edited = document();
      edited[key] = other;
      if (std::string_view(key) == "options" && other.is_object()) continue;
      if (std::string_view(key) == "models" && other.is_array()) continue;
      EXPECT_EQ(error_of([&] { parse_evaluation("e", edited.dump()); }), "e: is not an evaluation of gyro eval") << key;
    }
  }
}

}  // namespace
}  // namespace gyro
