// The models that ship with the repository against what transformers got on them in float32 (tests/goldens). With
// GYRO_ZOO and GYRO_GOLDENS (folders of families) in the environment, those that are there.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>

#include "gyro/checkpoint/checkpoint.h"
#include "gyro/infer/engine.h"

namespace gyro {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

struct Golden {
  fs::path model, file;
};

fs::path folder(const char* variable, const char* here) {
  const char* given = std::getenv(variable);
  return given == nullptr ? fs::path(GYRO_SOURCE_DIR) / here : fs::path(given);
}

/// The models that there is a `<name>-forward.json` of.
std::vector<Golden> goldens() {
  constexpr std::string_view kEnding = "-forward.json";
  std::vector<Golden> found;
  for (const auto& entry : fs::recursive_directory_iterator(folder("GYRO_GOLDENS", "tests/goldens"))) {
    const std::string name = entry.path().filename().string();
    if (!name.ends_with(kEnding)) continue;
    const fs::path family = entry.path().parent_path().filename();
    found.push_back(
        {folder("GYRO_ZOO", "models") / family / name.substr(0, name.size() - kEnding.size()), entry.path()});
  }
  std::sort(found.begin(), found.end(), [](const Golden& a, const Golden& b) { return a.model < b.model; });
  return found;
}

double entropy(const float* row, int64_t count) {
  double sum = 0;
  for (int64_t i = 0; i < count; ++i) {
    const double p = row[i];
    if (p > 0) sum -= p * std::log(p);
  }
  return sum;
}

/// Largest departures of a model from its golden; absolute of logits, else relative.
struct Departure {
  double logit = 0, norm = 0, entropy = 0, entropy_of_average = 0;
};

void keep_larger(double& largest, double value) {
  largest = std::max(largest, value);
}

void compare_entropies(const Engine& engine, const Taps& taps, int64_t count, const Json& prompt, Departure& out) {
  for (int64_t layer = 0; layer < engine.layers(); ++layer) {
    const float* heads = taps.attention.data() + layer * engine.heads() * count;
    std::vector<float> average(static_cast<size_t>(count));
    double mean = 0;
    for (int64_t head = 0; head < engine.heads(); ++head) {
      mean += entropy(heads + head * count, count) / static_cast<double>(engine.heads());
      for (int64_t i = 0; i < count; ++i) {
        average[static_cast<size_t>(i)] += heads[head * count + i] / static_cast<float>(engine.heads());
      }
    }
    const auto at = static_cast<size_t>(layer);
    const double expected = prompt["entropy_mean_over_heads"][at], of_average = prompt["entropy_of_head_average"][at];
    keep_larger(out.entropy, std::abs(mean / expected - 1));
    keep_larger(out.entropy_of_average, std::abs(entropy(average.data(), count) / of_average - 1));
  }
}

void compare_prompt(Engine& engine, const Json& prompt, Departure& out) {
  const std::vector<int32_t> ids = prompt["ids"];
  const auto last = static_cast<int64_t>(ids.size()) - 1;
  std::vector<float> logits;
  const auto keep = [&](int64_t position, std::span<const float> row) {
    EXPECT_EQ(position, last);
    logits.assign(row.begin(), row.end());
  };
  const Taps taps = engine.forward(ids, LogitRows::Last, keep, {.attention_rows = {last}, .hidden_positions = {last}});
  for (const Json& top : prompt["top5"]) {
    keep_larger(out.logit, std::abs(static_cast<double>(logits.at(top[0])) - top[1].get<double>()));
  }
  for (int64_t layer = 0; layer < engine.layers(); ++layer) {
    const float* state = taps.hidden.data() + layer * engine.width();
    double square = 0;
    for (int64_t i = 0; i < engine.width(); ++i)
      square += static_cast<double>(state[i]) * static_cast<double>(state[i]);
    const double expected = prompt["block_l2"][static_cast<size_t>(layer)];
    keep_larger(out.norm, std::abs(std::sqrt(square) / expected - 1));
  }
  compare_entropies(engine, taps, last + 1, prompt, out);
}

class EngineGoldens : public testing::TestWithParam<Golden> {};

std::vector<float> last_logits(Engine& engine, std::span<const int32_t> ids) {
  std::vector<float> out;
  engine.forward(ids, LogitRows::Last,
                 [&](int64_t, std::span<const float> row) { out.assign(row.begin(), row.end()); });
  return out;
}

TEST_P(EngineGoldens, RunsAsTransformersDoes) {
  std::ifstream file(GetParam().file);
  const Json golden = Json::parse(file);
  const Checkpoint checkpoint(GetParam().model);
  Engine engine(checkpoint, {.dtype = DType::F32, .threads = 1});
  const std::vector<int32_t> ends = golden["eos_ids"];
  Departure departure;
  for (const Json& prompt : golden["prompts"]) {
    compare_prompt(engine, prompt, departure);
    const std::vector<int32_t> ids = prompt["ids"], expected = prompt["greedy_ids"];
    const Continuation answer = engine.continue_greedily(ids, 64, ends);
    if (prompt["greedy_min_gap"] > 0.01) {
      EXPECT_EQ(answer.ids, expected);
      const double margin = prompt["greedy_min_gap"];  // of four digits
      EXPECT_NEAR(answer.least_margin, margin, 2e-3 + 5e-4 * margin);
    }
    // What follows a prompt in the cache is what a prompt with it inside gives.
    std::vector<int32_t> whole = ids;
    whole.insert(whole.end(), answer.ids.begin(), answer.ids.end() - 1);
    const std::vector<float> logits = last_logits(engine, whole);
    EXPECT_EQ(std::max_element(logits.begin(), logits.end()) - logits.begin(), answer.ids.back());
  }
  EXPECT_LT(departure.logit, 2e-4);
  EXPECT_LT(departure.norm, 1e-5);
  EXPECT_LT(departure.entropy, 1e-5);
  EXPECT_LT(departure.entropy_of_average, 1e-5);
  const auto record = [&](const char* name, double value) { RecordProperty(name, fmt::format("{:.1e}", value)); };
  record("logit", departure.logit);
  record("norm", departure.norm);
  record("entropy", departure.entropy);
  record("entropy_of_average", departure.entropy_of_average);
}

std::string name_of(const testing::TestParamInfo<Golden>& info) {
  std::string name = info.param.model.parent_path().filename().string() + "_" + info.param.model.filename().string();
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(Models, EngineGoldens, testing::ValuesIn(goldens()), name_of);

}  // namespace
}  // namespace gyro
