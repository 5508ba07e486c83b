#include "gyro/eval/summary.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

namespace gyro {
namespace {

// Two variants, one task of ten questions, three repeats; `right` says which answers are.
template <typename Right>
std::pair<EvalRequest, std::vector<Score>> answers(const Right& right) {
  EvalRequest request;
  request.variants = {"original", "other"};
  request.tasks.resize(1);
  request.tasks[0].task.name = "t";
  request.tasks[0].task.questions.resize(10);
  request.options.repeats = 3;
  std::vector<Score> scores;
  for (size_t variant = 0; variant < 2; ++variant) {
    for (int64_t repeat = 0; repeat < 3; ++repeat) {
      for (size_t i = 0; i < 10; ++i) {
        const bool is = right(variant, repeat, i);
        scores.push_back({variant, 0, i, repeat, is, true, is, !is, 10 * (repeat + 1)});
      }
    }
  }
  return {std::move(request), std::move(scores)};
}

TEST(Summarize, CountsQuestionsAndRepeatsApart) {
  // The original: questions 0 to 5 always, 6 in the first repeat only; the other variant none.
  const auto [request, scores] = answers(
      [](size_t variant, int64_t repeat, size_t i) { return variant == 0 && (i < 6 || (i == 6 && repeat == 0)); });
  const std::vector<EvalCell> cells = summarize(request, scores, 1);
  ASSERT_EQ(cells.size(), 2U);
  const EvalCell& cell = cells[0];
  EXPECT_NEAR(cell.strict.mean, 19.0 / 30, 1e-12);
  EXPECT_EQ(cell.flexible.mean, 1);
  EXPECT_NEAR(cell.by_repeat[0], 0.7, 1e-12);
  EXPECT_NEAR(cell.by_repeat[2], 0.6, 1e-12);
  EXPECT_NEAR(cell.decoding_noise, 0.1 / std::sqrt(3.0), 1e-12);
  EXPECT_NEAR(cell.strict.interval.low, wilson(19.0 / 30, 10).low, 1e-12) << "ten questions, not thirty answers";
  EXPECT_EQ(cell.tokens, 20);
  EXPECT_EQ(cell.tokens_noise, 10);
  EXPECT_NEAR(cell.truncated, 11.0 / 30, 1e-12);
  EXPECT_NEAR(cell.no_answer, 11.0 / 30, 1e-12);
  EXPECT_FALSE(cell.collapsed);
  EXPECT_FALSE(cell.against);
  EXPECT_TRUE(cells[1].collapsed);
  ASSERT_TRUE(cells[1].against);
  EXPECT_STREQ(cells[1].against->test, "sign-flip");
  EXPECT_NEAR(cells[1].against->difference, -19.0 / 30, 1e-12);
  EXPECT_NEAR(cells[1].p_adjusted, 2.0 / 128, 1e-12) << "seven questions of one way";
  const auto matrix = matrix_json(request, scores);
  EXPECT_NEAR(matrix["t"]["right"]["original"][6].get<double>(), 1.0 / 3, 1e-12);
}

TEST(Summarize, AMeanLengthNeedsEveryLength) {
  auto [request, scores] = answers([](size_t, int64_t, size_t) { return true; });
  scores[35].tokens = kUnknownTokens;  // the other variant's, in its first repeat
  const std::vector<EvalCell> cells = summarize(request, scores, 1);
  EXPECT_EQ(cells[0].tokens, 20);
  EXPECT_TRUE(std::isnan(cells[1].tokens));
  EXPECT_EQ(cells[1].strict.mean, 1);
  const auto json = cells_json(cells);
  EXPECT_TRUE(json[1]["tokens"].is_null());
  EXPECT_TRUE(json[1]["tokens_noise"].is_null());
}

TEST(Summarize, WholeSharesAreWhole) {
  const auto [request, scores] = answers([](size_t, int64_t, size_t i) { return i < 7; });
  const std::vector<EvalCell> cells = summarize(request, scores, 1);
  EXPECT_STREQ(cells[1].against->test, "mcnemar") << "three of three is one";
  EXPECT_EQ(cells[1].against->p, 1);
  EXPECT_EQ(cells[0].decoding_noise, 0);
}

TEST(Summarize, OneRepeatHasNoNoise) {
  auto [request, scores] = answers([](size_t, int64_t, size_t i) { return i < 7; });
  request.options.repeats = 1;
  std::erase_if(scores, [](const Score& score) { return score.repeat > 0; });
  const auto json = cells_json(summarize(request, scores, 1));
  EXPECT_TRUE(json[0]["decoding_noise"].is_null());
  EXPECT_TRUE(json[0]["against_first"].is_null());
  EXPECT_EQ(json[1]["against_first"]["test"], "mcnemar");
}

}  // namespace
}  // namespace gyro
