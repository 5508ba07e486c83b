// Drift of shipped pairs against what numpy got from transformers' states and logits (tests/goldens/README.md), and
// what it must be of a model and itself.
#include "gyro/probe/drift.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "gyro/base/error.h"
#include "gyro/base/file.h"
#include "gyro/infer/library.h"
#include "gyro/infer/test_util.h"
#include "gyro/probe/test_util.h"

namespace gyro {
namespace {

using Json = nlohmann::json;

void expect_near(const Json& golden, const char* name, double value) {
  const double expected = golden[name];
  EXPECT_NEAR(value, expected, 2e-5 * (1 + std::abs(expected))) << name;
}

void expect_same(const Json& golden, const DistributionDrift& drift) {
  expect_near(golden, "kl_mean", drift.kl_mean);
  expect_near(golden, "kl_se", drift.kl_se);
  expect_near(golden, "top1_agreement", drift.top1_agreement);
}

class DriftOf : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    if (!can_infer()) GTEST_SKIP() << "no engine";
  }
};

TEST_P(DriftOf, BaseAndPostIsNumpys) {
  const std::string family = GetParam();
  const auto path = std::filesystem::path(GYRO_SOURCE_DIR) / "tests/goldens" / family / "base-instruct-drift.json";
  const Json golden = Json::parse(read_file(path, size_t{1} << 20));
  ChatModel chat = shipped_chat(family + "/instruct");
  const auto source = shipped_source(family + "/base");
  Engine base(*source, {.dtype = DType::F32, .threads = 1});
  const Lens base_lens = open_lens(source), post_lens = open_lens(chat.loaded.source);
  const std::vector<ProbePrompt> prompts = shipped_prompts(chat, golden["questions"]);
  check_comparable(base_lens, chat.loaded.engine, prompts);
  const DriftModel of_base{base, base_lens}, of_post{chat.loaded.engine, post_lens};
  const Drift drift = measure_drift(of_base, of_post, prompts, 2, {});
  expect_near(golden, "embedding", drift.embedding);
  expect_same(golden["next_token"], drift.next_token);
  ASSERT_EQ(drift.blocks.size(), golden["blocks"].size());
  for (size_t i = 0; i < drift.blocks.size(); ++i) {
    const Json& expected = golden["blocks"][i];
    const BlockDrift& block = drift.blocks[i];
    expect_near(expected, "cosine_mean", block.cosine_mean);
    expect_near(expected, "cosine_sd", block.cosine_sd);
    expect_near(expected, "norm_ratio", block.norm_ratio);
    expect_near(expected, "relative_difference", block.relative_difference);
    expect_same(expected["lens"], block.lens);
  }
  // Read from the last block, the next token is the model's own; and threads change nothing.
  EXPECT_NEAR(drift.blocks.back().lens.kl_mean, drift.next_token.kl_mean, 1e-5 * drift.next_token.kl_mean);
  const Drift again = measure_drift(of_base, of_post, prompts, 1, {});
  EXPECT_EQ(again.blocks.front().lens.kl_mean, drift.blocks.front().lens.kl_mean);
}

INSTANTIATE_TEST_SUITE_P(ShippedFamilies, DriftOf, testing::Values("pico-qwen2", "pico-gemma2"),
                         [](const auto& of) { return std::string(of.param).substr(5); });

TEST(Drift, OfAModelAndItselfIsNone) {
  if (!can_infer()) GTEST_SKIP() << "no engine";
  ChatModel chat = shipped_chat("pico-qwen3moe/instruct");
  const Lens lens = open_lens(chat.loaded.source);
  const DriftModel model{chat.loaded.engine, lens};
  const Drift drift = measure_drift(model, model, shipped_prompts(chat, 1), 1, {});
  EXPECT_EQ(drift.embedding, 0);
  EXPECT_EQ(drift.next_token.kl_mean, 0);
  for (const BlockDrift& block : drift.blocks) {
    EXPECT_NEAR(block.cosine_mean, 1, 1e-12);
    EXPECT_NEAR(block.norm_ratio, 1, 1e-12);
    EXPECT_EQ(block.relative_difference, 0);
    EXPECT_NEAR(block.lens.kl_mean, 0, 1e-12);
    EXPECT_TRUE(std::isnan(block.lens.kl_se));  // of one question
    EXPECT_EQ(block.lens.top1_agreement, 1);
  }
}

TEST(Drift, IsOfModelsOfOneShape) {
  if (!can_infer()) GTEST_SKIP() << "no engine";
  ChatModel chat = shipped_chat("pico-qwen2/instruct");
  const ModelCopy shorter("pico-qwen2/base");
  shorter.edit("config.json", [](Json& config) { config["num_hidden_layers"] = 2; });
  ProbePrompt beyond{"task", "7", "", false, {1, 1 << 20}};
  try {
    check_comparable(open_lens(chat.loaded.source), chat.loaded.engine, {&beyond, 1});
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("question 7 of task has token 1048576"), std::string::npos);
  }
  const Lens lens = open_lens(std::make_shared<Checkpoint>(shorter.path()));
  EXPECT_THROW(check_comparable(lens, chat.loaded.engine, {}), Error);
}

BlockDrift block_of(double difference, std::vector<double> by_prompt) {
  BlockDrift out;
  out.relative_difference = difference;
  out.by_prompt = std::move(by_prompt);
  return out;
}

TEST(DriftContrast, WantsSizeAndCertainty) {
  const BlockDrift low = block_of(0.1, {0.1, 0.11, 0.09}), high = block_of(0.2, {0.2, 0.22, 0.19});
  const DriftContrast more = contrast(high, low);
  EXPECT_NEAR(more.ratio, 2, 1e-12);
  // Differences 0.1, 0.11, 0.1: mean 0.31/3, deviation 0.01/√3, over √3 again.
  EXPECT_NEAR(more.z, 0.31 / 3 / (0.01 / 3), 1e-9);
  EXPECT_EQ(more.verdict, DriftVerdict::More);
  EXPECT_EQ(contrast(low, high).verdict, DriftVerdict::Less);
  EXPECT_EQ(contrast(block_of(0.2, {0.1, 0.4, 0.0}), low).verdict, DriftVerdict::AsControl);           // not certain
  EXPECT_EQ(contrast(block_of(0.104, {0.104, 0.1141, 0.094}), low).verdict, DriftVerdict::AsControl);  // not large
  EXPECT_EQ(contrast(block_of(0.2, {0.2}), block_of(0.1, {0.1})).verdict, DriftVerdict::Undefined);
}

}  // namespace
}  // namespace gyro
