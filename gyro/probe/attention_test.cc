#include "gyro/probe/attention.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <numeric>

#include "gyro/checkpoint/checkpoint.h"
#include "gyro/infer/library.h"

namespace gyro {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

TEST(Entropy, OfRowsThatAreKnown) {
  EXPECT_NEAR(entropy_of(std::vector<double>(37, 1.0 / 37)), std::log(37), 1e-13);
  EXPECT_EQ(entropy_of(std::vector<double>{0, 1, 0}), 0);
  EXPECT_NEAR(entropy_of(std::vector<double>{0.5, 0, 0.25, 0.25}), 1.5 * std::log(2), 1e-15);
}

TEST(Entropy, OfHeadsAndOfTheirAverage) {
  // Two heads that look at one token each, not the same one; then two that look at all.
  const LastRows rows{{2, 7}, 2, 2, {1, 0, 0, 1, 0.5, 0.5, 0.5, 0.5}};
  const std::vector<BlockEntropy> found = block_entropies(rows);
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[0].heads, (std::vector<double>{0, 0}));
  EXPECT_EQ(found[0].mean, 0);
  EXPECT_NEAR(found[0].of_mean, std::log(2), 1e-15);
  EXPECT_NEAR(found[1].mean, std::log(2), 1e-15);
  EXPECT_NEAR(found[1].of_mean, std::log(2), 1e-15);
}

TEST(KeysSeen, OfAWindowAndOfWhatIsGiven) {
  const LastRows rows{{0, 1}, 2, 5, {0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1}};
  Hyperparameters parameters;
  parameters.window = 3;
  parameters.sliding = {true, false};
  EXPECT_EQ(keys_seen(rows, 0, &parameters), 3);
  EXPECT_EQ(keys_seen(rows, 1, &parameters), 5);
  parameters.window = 9;
  EXPECT_EQ(keys_seen(rows, 0, &parameters), 5);
  EXPECT_EQ(keys_seen(rows, 0, nullptr), 3);
  EXPECT_EQ(keys_seen(rows, 1, nullptr), 5);
}

fs::path folder(const char* variable, const char* here) {
  const char* given = std::getenv(variable);
  return given == nullptr ? fs::path(GYRO_SOURCE_DIR) / here : fs::path(given);
}

// Entropies of a model against what transformers got (see infer/engine_goldens_test.cc), of some blocks.
void expect_entropies(const fs::path& model, const Json& golden) {
  const Checkpoint checkpoint(model);
  Engine engine(checkpoint, {.dtype = DType::F32, .threads = 1});
  const std::vector<int64_t> blocks = {0, engine.layers() - 1};
  for (const Json& prompt : golden["prompts"]) {
    const LastRows rows = last_rows(engine, prompt["ids"].get<std::vector<int32_t>>(), blocks);
    const std::vector<BlockEntropy> found = block_entropies(rows);
    ASSERT_EQ(found.size(), 2U);
    for (size_t i = 0; i < 2; ++i) {
      const auto block = static_cast<size_t>(blocks[i]);
      const double mean = prompt["entropy_mean_over_heads"][block], of_mean = prompt["entropy_of_head_average"][block];
      EXPECT_NEAR(found[i].mean / mean, 1, 1e-5) << model;
      EXPECT_NEAR(found[i].of_mean / of_mean, 1, 1e-5) << model;
      EXPECT_EQ(found[i].heads.size(), static_cast<size_t>(engine.heads()));
      EXPECT_LE(found[i].mean, found[i].of_mean) << "entropy is concave";
    }
  }
}

// The models that ship; with GYRO_ZOO and GYRO_GOLDENS in the environment those that are there.
TEST(Entropy, AgreesWithTransformers) {
  if (!can_infer()) GTEST_SKIP() << "no engine";
  constexpr std::string_view kEnding = "-forward.json";
  int models = 0;
  for (const auto& entry : fs::recursive_directory_iterator(folder("GYRO_GOLDENS", "tests/goldens"))) {
    const std::string name = entry.path().filename().string();
    if (!name.ends_with(kEnding)) continue;
    const fs::path family = entry.path().parent_path().filename();
    std::ifstream file(entry.path());
    expect_entropies(folder("GYRO_ZOO", "models") / family / name.substr(0, name.size() - kEnding.size()),
                     Json::parse(file));
    ++models;
  }
  EXPECT_GE(models, 7);
}

// The models that ship, with the prompts of tests/goldens.
class AttentionOf : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    if (!can_infer()) GTEST_SKIP() << "no engine";
    const fs::path root = GYRO_SOURCE_DIR;
    std::ifstream file(root / "tests/goldens" / GetParam() / "instruct-forward.json");
    golden_ = Json::parse(file);
    checkpoint_ = std::make_unique<Checkpoint>(root / "models" / GetParam() / "instruct");
    engine_ = std::make_unique<Engine>(*checkpoint_, EngineOptions{.dtype = DType::F32, .threads = 1});
  }

  Json golden_;
  std::unique_ptr<Checkpoint> checkpoint_;
  std::unique_ptr<Engine> engine_;
};

// What config.json says of windows is what the engine does.
TEST_P(AttentionOf, KeysSeen) {
  const std::vector<int32_t> ids = golden_["prompts"][0]["ids"];
  const LastRows rows = last_rows(*engine_, ids, {0, 1, 2});
  const Hyperparameters parameters = read_hyperparameters(*checkpoint_);
  for (size_t block = 0; block < 3; ++block) {
    const int64_t seen = keys_seen(rows, block, &parameters);
    EXPECT_EQ(seen, keys_seen(rows, block, nullptr)) << block;
    const bool gemma = std::string(GetParam()) == "pico-gemma2", mistral = std::string(GetParam()) == "pico-mistral";
    EXPECT_EQ(seen, mistral || (gemma && block % 2 == 0) ? 64 : static_cast<int64_t>(ids.size()));
  }
}

// The last row of a map is the last row; no token sees one behind it; heads average.
TEST_P(AttentionOf, Maps) {
  const std::vector<int32_t> ids = golden_["prompts"][1]["ids"];
  const size_t n = ids.size();
  const std::vector<MapChoice> choices = {
      {2, 1}, {0, MapChoice::kMeanOfHeads}, {2, MapChoice::kMeanOfHeads}, {2, 0}, {2, 2}, {2, 3}};
  const auto maps = attention_maps(*engine_, ids, choices);
  ASSERT_EQ(maps.size(), choices.size());
  const LastRows rows = last_rows(*engine_, ids, {2});
  for (const auto& map : maps) {
    ASSERT_EQ(map.size(), n * n);
    for (size_t query = 0; query < n; ++query) {
      const auto row = std::span(map).subspan(query * n, n);
      EXPECT_NEAR(std::accumulate(row.begin(), row.end(), 0.0), 1, 1e-5);
      EXPECT_TRUE(
          std::all_of(row.begin() + static_cast<std::ptrdiff_t>(query) + 1, row.end(), [](float p) { return p == 0; }));
    }
  }
  for (size_t i = 0; i < n; ++i) {
    EXPECT_NEAR(maps[0][(n - 1) * n + i], rows.row(0, 1)[i], 1e-6);
  }
  for (size_t i = 0; i < n * n; ++i)
    EXPECT_NEAR(maps[2][i], (maps[0][i] + maps[3][i] + maps[4][i] + maps[5][i]) / 4, 1e-6);
  EXPECT_TRUE(attention_maps(*engine_, ids, {}).empty());
}

INSTANTIATE_TEST_SUITE_P(Pico, AttentionOf,
                         testing::Values("pico-qwen2", "pico-llama", "pico-mistral", "pico-gemma2", "pico-phi3",
                                         "pico-qwen3", "pico-qwen3moe"),
                         [](const auto& family) { return std::string(family.param).substr(5); });

}  // namespace
}  // namespace gyro
