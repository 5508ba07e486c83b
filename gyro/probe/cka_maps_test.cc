// Maps of a shipped model and of Construction 11 of it against what numpy got from transformers' hidden states
// (tests/goldens/README.md), and what representations are, from the engine's taps one by one.
#include "gyro/probe/cka_maps.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "gyro/base/file.h"
#include "gyro/eval/variant_models.h"
#include "gyro/infer/library.h"
#include "gyro/probe/test_util.h"

namespace gyro {
namespace {

using Json = nlohmann::json;

double departure(const Matrix& map, const Json& golden) {
  double largest = 0;
  for (int64_t i = 0; i < map.rows(); ++i) {
    for (int64_t j = 0; j < map.cols(); ++j) {
      const double expected = golden[static_cast<size_t>(i)][static_cast<size_t>(j)];
      largest = std::max(largest, std::abs(map(i, j) - expected));
    }
  }
  return largest;
}

void expect_maps(const CkaMaps& maps, const Json& golden, const char* unbiased) {
  EXPECT_LT(departure(maps[0], golden["position_mean"]), 1e-5);
  EXPECT_LT(departure(maps[1], golden["question_mean"]), 1e-5);
  EXPECT_LT(departure(maps[2], golden[unbiased]), 1e-5);
}

TEST(CkaMaps, AreNumpys) {
  if (!can_infer()) GTEST_SKIP() << "no engine";
  const auto path = std::filesystem::path(GYRO_SOURCE_DIR) / "tests/goldens/pico-qwen2/instruct-cka.json";
  const Json golden = Json::parse(read_file(path, size_t{1} << 20));
  ChatModel chat = shipped_chat("pico-qwen2/instruct");
  Engine& engine = chat.loaded.engine;
  const std::vector<ProbePrompt> prompts = shipped_prompts(chat, golden["questions"]);
  EXPECT_EQ(shortest_prompt(prompts), golden["tokens_cut"]);
  const auto count = static_cast<int64_t>(prompts.size());
  const Representations original = read_representations(engine, prompts, {});
  expect_maps(cka_maps(original, original, minibatches(count, 0)), golden["original"], "question_mean_unbiased");

  const std::string name = "restore-attention-out";
  VariantModels variants({shipped_source("pico-qwen2/base"), chat.loaded.source, nullptr, DType::F32, 0, {}},
                         {"original", name});
  variants.load(1, engine);
  const Representations restored = read_representations(engine, prompts, {});
  const CkaMaps maps = cka_maps(original, restored, minibatches(count, 4));
  expect_maps(maps, golden[name], "question_mean_unbiased_by_4");

  double trace = 0, apart = 0;
  for (size_t i = 0; i < 3; ++i) {
    trace += golden[name]["question_mean"][i][i].get<double>();
    for (size_t j = 0; j < 3; ++j) {
      const double a = golden[name]["question_mean"][i][j], b = golden["original"]["question_mean"][i][j];
      apart += std::abs(a - b);
    }
  }
  EXPECT_NEAR(diagonal_mean(maps[1]), trace / 3, 1e-5);
  EXPECT_NEAR(mean_distance(maps[1], cka_maps(original, original, {})[1]), apart / 9, 1e-5);
  EXPECT_TRUE(std::isnan(diagonal_mean(cka_maps(original, original, {})[2])));
}

TEST(Representations, AreMeansOfTheTaps) {
  if (!can_infer()) GTEST_SKIP() << "no engine";
  ChatModel chat = shipped_chat("pico-gemma2/instruct");
  Engine& engine = chat.loaded.engine;
  const std::vector<ProbePrompt> prompts = shipped_prompts(chat, 3);
  const Representations all = read_representations(engine, prompts, {});
  const int64_t cut = shortest_prompt(prompts), width = engine.width();
  ASSERT_EQ(all.position_mean.size(), static_cast<size_t>(engine.layers()));
  ASSERT_EQ(all.position_mean[0].rows(), cut);
  ASSERT_EQ(all.question_mean[0].rows(), 3);
  for (int64_t block = 0; block < engine.layers(); ++block) {
    double of_position = 0;  // the last that is common to all, of the last column
    for (size_t n = 0; n < prompts.size(); ++n) {
      double of_question = 0;
      const auto size = static_cast<int64_t>(prompts[n].ids.size());
      for (int64_t i = 0; i < size; ++i) {
        const Taps taps = engine.forward(prompts[n].ids, LogitRows::Last, [](auto, auto) {}, {.hidden_positions = {i}});
        const double value = taps.hidden[static_cast<size_t>(block * width + width - 1)];
        of_question += value / static_cast<double>(size);
        if (i == cut - 1) of_position += value / 3;
      }
      const Matrix& means = all.question_mean[static_cast<size_t>(block)];
      EXPECT_NEAR(means(static_cast<int64_t>(n), width - 1), of_question, 1e-5 * std::abs(of_question) + 1e-6);
    }
    const Matrix& means = all.position_mean[static_cast<size_t>(block)];
    EXPECT_NEAR(means(cut - 1, width - 1), of_position, 1e-5 * std::abs(of_position) + 1e-6);
  }
}

}  // namespace
}  // namespace gyro
