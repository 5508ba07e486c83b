#include "gyro/infer/engine.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <limits>
#include <numeric>
#include <thread>

#include "gyro/base/error.h"
#include "gyro/base/file.h"
#include "gyro/base/team.h"
#include "gyro/checkpoint/checkpoint.h"
#include "gyro/checkpoint/overlay.h"
#include "gyro/checkpoint/test_util.h"
#include "gyro/infer/gguf_image.h"

namespace gyro {
namespace {

namespace fs = std::filesystem;

fs::path model(const std::string& name) {
  return fs::path(GYRO_SOURCE_DIR) / "models" / name;
}

/// Ids of a prompt: no text, but what every pico model has tokens for.
std::vector<int32_t> prompt(int count) {
  std::vector<int32_t> ids(static_cast<size_t>(count));
  for (int i = 0; i < count; ++i) ids[static_cast<size_t>(i)] = 3 + (i * 37) % 400;
  return ids;
}

EngineOptions options(std::optional<DType> dtype = std::nullopt) {
  return {.dtype = dtype, .threads = 1};
}

/// A GGUF file of a checkpoint on disk.
fs::path write_gguf(const TensorSource& source, std::optional<DType> dtype, const TempDir& dir) {
  const Descriptor image = make_image(source, plan_image(source, dtype), nullptr, ImageWeights::Written);
  std::vector<char> bytes(static_cast<size_t>(lseek(image.get(), 0, SEEK_END)));
  EXPECT_EQ(pread(image.get(), bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size()));
  const fs::path path = dir / "model.gguf";
  std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  return path;
}

class EveryFamily : public testing::TestWithParam<const char*> {};

// Weights that are put into a model that was loaded without are those of a file.
TEST_P(EveryFamily, RunsAsItsGgufFile) {
  const Checkpoint checkpoint(model(GetParam()) / "instruct");
  for (const std::optional<DType> dtype :
       {std::optional<DType>(), std::optional(DType::F32), std::optional(DType::F16)}) {
    const TempDir dir;
    Engine direct(checkpoint, options(dtype));
    Engine file(write_gguf(checkpoint, dtype, dir), options());
    EXPECT_EQ(direct.logits(prompt(100)), file.logits(prompt(100)));
  }
}

TEST_P(EveryFamily, SwapsToTheLastBit) {
  const Checkpoint base(model(GetParam()) / "base"), instruct(model(GetParam()) / "instruct");
  Engine engine(base, options()), other(instruct, options());
  const std::vector<float> of_base = engine.logits(prompt(90)), of_instruct = other.logits(prompt(90));
  EXPECT_NE(of_base, of_instruct);
  engine.swap(instruct);
  EXPECT_EQ(engine.logits(prompt(90)), of_instruct);
  engine.swap(base);
  EXPECT_EQ(engine.logits(prompt(90)), of_base);
}

// Pieces of a long prompt, and tokens one by one, see what a whole prompt sees: also through a window, which is
// shorter.
TEST_P(EveryFamily, PositionsDoNotDependOnWhatFollows) {
  const Checkpoint checkpoint(model(GetParam()) / "instruct");
  Engine engine(checkpoint, options(DType::F32));
  const std::vector<int32_t> ids = prompt(700);
  const std::vector<float> all = engine.logits(ids);
  const auto width = static_cast<size_t>(engine.vocabulary());
  ASSERT_EQ(all.size(), ids.size() * width);
  for (const size_t count : {size_t{1}, size_t{64}, size_t{65}, size_t{200}, size_t{513}, size_t{699}}) {
    engine.forward(std::span(ids).first(count), LogitRows::Last, [&](int64_t position, std::span<const float> row) {
      ASSERT_EQ(position, static_cast<int64_t>(count) - 1);
      for (size_t i = 0; i < width; ++i) ASSERT_NEAR(row[i], all[(count - 1) * width + i], 2e-4) << count;
    });
  }
}

TEST_P(EveryFamily, AttentionIsADistributionOverWhatIsSeen) {
  const Checkpoint checkpoint(model(GetParam()) / "instruct");
  Engine engine(checkpoint, options(DType::F32));
  const TapRequest request = {.attention_rows = {0, 70, 599}, .hidden_positions = {5, 512}};
  const std::vector<int32_t> ids = prompt(600);
  const auto nothing = [](int64_t, std::span<const float>) {};
  const Taps taps = engine.forward(ids, LogitRows::Last, nothing, request);
  ASSERT_EQ(taps.attention.size(), static_cast<size_t>(engine.layers() * 3 * engine.heads() * 600));
  ASSERT_EQ(taps.hidden.size(), static_cast<size_t>(engine.layers() * 2 * engine.width()));
  for (int64_t row = 0; row < engine.layers() * 3 * engine.heads(); ++row) {
    const int64_t query = request.attention_rows[static_cast<size_t>(row / engine.heads() % 3)];
    const float* p = taps.attention.data() + row * 600;
    EXPECT_NEAR(std::accumulate(p, p + query + 1, 0.0), 1, 1e-5);
    EXPECT_EQ(std::accumulate(p + query + 1, p + 600, 0.0), 0);
  }
  // The same positions of the prompt's beginning alone.
  const Taps shorter = engine.forward(std::span(ids).first(71), LogitRows::Last, nothing,
                                      {.attention_rows = {70}, .hidden_positions = {5}});
  for (int64_t layer = 0; layer < engine.layers(); ++layer) {
    for (int64_t i = 0; i < engine.width(); ++i) {
      EXPECT_NEAR(shorter.hidden[static_cast<size_t>(layer * engine.width() + i)],
                  taps.hidden[static_cast<size_t>(layer * 2 * engine.width() + i)], 1e-4);
    }
    for (int64_t i = 0; i < engine.heads() * 71; ++i) {
      const int64_t head = i / 71;
      const float expected =
          taps.attention[static_cast<size_t>(((layer * 3 + 1) * engine.heads() + head) * 600 + i % 71)];
      EXPECT_NEAR(shorter.attention[static_cast<size_t>(layer * engine.heads() * 71 + i)], expected, 1e-5);
    }
  }
  EXPECT_TRUE(engine.forward(ids, LogitRows::Last, nothing, {}).hidden.empty());
  // Some layers' alone are what they are among all.
  const Taps some = engine.forward(ids, LogitRows::Last, nothing,
                                   {.attention_rows = request.attention_rows, .attention_layers = {0, 2}});
  const auto layer_size = static_cast<int64_t>(3 * engine.heads() * 600);
  ASSERT_EQ(some.attention.size(), static_cast<size_t>(2 * layer_size));
  EXPECT_TRUE(std::equal(some.attention.begin(), some.attention.begin() + layer_size, taps.attention.begin()));
  EXPECT_TRUE(
      std::equal(some.attention.begin() + layer_size, some.attention.end(), taps.attention.begin() + 2 * layer_size));
  const TapRequest beyond = {.attention_rows = {1}, .attention_layers = {3}};
  EXPECT_THROW(engine.forward(ids, LogitRows::Last, nothing, beyond), Error);
}

std::string name_of(const testing::TestParamInfo<const char*>& family) {
  std::string name = family.param;
  name[4] = '_';
  return name;
}

INSTANTIATE_TEST_SUITE_P(Models, EveryFamily,
                         testing::Values("pico-qwen2", "pico-qwen3", "pico-qwen3moe", "pico-llama", "pico-mistral",
                                         "pico-gemma2", "pico-phi3"),
                         name_of);

std::string error_of(const std::function<void()>& work) {
  try {
    work();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(Engine, SaysWhatItDoesNotRun) {
  const auto nothing = [](int64_t, std::span<const float>) {};
  const Checkpoint checkpoint(model("pico-qwen2") / "base");
  Engine engine(checkpoint, options());
  EXPECT_EQ(error_of([&] { engine.logits({}); }), "prompt: has no tokens");
  EXPECT_EQ(error_of([&] {
              engine.logits(std::vector<int32_t>{1, 448});
            }),
            "prompt: token 448 is none of the model's 448");
  EXPECT_EQ(error_of([&] { engine.logits(prompt(1025)); }), "prompt: has 1025 tokens, and the context 1024 positions");
  EXPECT_EQ(error_of([&] { engine.continue_greedily(prompt(1000), 26, {}); }),
            "prompt: has 1000 tokens with 25 to come, and the context 1024 positions");
  EXPECT_EQ(engine.continue_greedily(prompt(1000), 25, {}).ids.size(), 25);
  EXPECT_EQ(error_of([&] { engine.forward(prompt(3), LogitRows::Last, nothing, {.hidden_positions = {3}}); }),
            "taps: positions 3 to 3 of a prompt of 3");
  const Checkpoint other(model("pico-llama") / "base");
  EXPECT_EQ(error_of([&] { engine.swap(other); }),
            other.path().string() + ": is not of the shape, dtype and hyperparameters of the model that is loaded");
  EXPECT_EQ(error_of([&] { Engine("nowhere.gguf"); }), "nowhere.gguf: is no file");
  const TempDir dir;
  fs::copy(model("pico-qwen2") / "base", dir / "turned");  // the same weights, rotated by other angles
  std::string config = read_file(dir / "turned" / "config.json", 1 << 16);
  const std::string theta = "\"rope_theta\": 10000.0";
  ASSERT_NE(config.find(theta), std::string::npos);
  config.replace(config.find(theta), theta.size(), "\"rope_theta\": 500000.0");
  std::ofstream(dir / "turned" / "config.json") << config;
  EXPECT_NE(error_of([&] { engine.swap(Checkpoint(dir / "turned")); }).find("hyperparameters"), std::string::npos);
  std::ofstream(dir / "text.gguf") << "no GGUF file";
  EXPECT_NE(error_of([&] { Engine(dir / "text.gguf"); }).find("text.gguf: llama.cpp does not load it: "),
            std::string::npos);
}

/// A copy of a model whose config.json says something else.
std::string error_of_config(const std::string& name, const std::string& what, const std::string& instead) {
  const TempDir dir;
  fs::copy(model(name) / "base", dir / "model");
  std::ifstream in(model(name) / "base/config.json");
  std::string text(std::istreambuf_iterator<char>(in), {});
  const size_t at = text.find(what);
  EXPECT_NE(at, std::string::npos);
  text.replace(at, what.size(), instead);
  std::ofstream(dir / "model/config.json") << text;
  const std::string error = error_of([&] { Engine(Checkpoint(dir / "model"), options()); });
  const std::string subject = (dir / "model").string();
  return error.starts_with(subject) ? error.substr(subject.size()) : error;
}

TEST(Engine, SaysWhichConfigItDoesNotRun) {
  EXPECT_EQ(error_of_config("pico-llama", "\"llama\"", "\"cohere\""),
            ": the architecture 'cohere' is not run by this engine");
  EXPECT_EQ(error_of_config("pico-llama", "\"silu\"", "\"relu\""),
            ": the activation 'relu' of llama is not run by this engine");
  EXPECT_EQ(error_of_config("pico-llama", "\"mlp_bias\"",
                            "\"rope_scaling\": {\"rope_type\": \"dynamic\", \"factor\": 2}, \"x\""),
            "/config.json: rope_scaling 'dynamic' of llama is not run by this engine");
  EXPECT_EQ(error_of_config("pico-gemma2", "\"query_pre_attn_scalar\": 16", "\"query_pre_attn_scalar\": 24"),
            ": query_pre_attn_scalar 24 is not run by this engine, which takes 16");
  EXPECT_EQ(error_of_config("pico-gemma2", "\"attn_logit_softcapping\": 50.0", "\"attn_logit_softcapping\": 0"),
            ": the soft caps of this gemma2 are not run by this engine");
  EXPECT_EQ(error_of_config("pico-qwen3moe", "\"num_experts_per_tok\": 2", "\"num_experts_per_tok\": 9"),
            ": num_experts_per_tok 9 is not from 1 to 8");
}

TEST(Engine, RunsNoModelWithATensorThatItWouldLeaveOut) {
  const auto checkpoint = std::make_shared<Checkpoint>(model("pico-llama") / "base");
  struct WithBias : OverlaySource {
    explicit WithBias(std::shared_ptr<const TensorSource> under)
        : OverlaySource(std::move(under), {}, {}, "with a bias") {
      tensors_["model.layers.1.self_attn.q_norm.weight"] = {DType::F32, {16}};
    }
  };
  const WithBias source(checkpoint);
  EXPECT_EQ(
      error_of([&] { Engine(source, options()); }),
      source.path().string() + ": model.layers.1.self_attn.q_norm.weight is a tensor that this engine does not run");
}

// What a construction has replaced is what runs.
TEST(Engine, RunsAnOverlay) {
  const auto checkpoint = std::make_shared<Checkpoint>(model("pico-mistral") / "base");
  const std::string name = "model.layers.2.mlp.down_proj.weight";
  const SourceTensor tensor = *checkpoint->find(name);
  const auto zeros = std::make_shared<const OverlaySource::Bytes>(tensor.byte_size());
  const OverlaySource overlay(checkpoint, {{name, {tensor, [zeros] { return zeros; }}}}, {}, "without W_down");
  Engine engine(*checkpoint, options()), fresh(overlay, options());
  const std::vector<float> before = engine.logits(prompt(20));
  engine.swap(overlay);
  EXPECT_NE(engine.logits(prompt(20)), before);
  EXPECT_EQ(engine.logits(prompt(20)), fresh.logits(prompt(20)));
}

// A prompt of two pieces is broken off within the first.
TEST(Engine, EndsWithTheRunThatItIsFor) {
  Engine engine(Checkpoint(model("pico-qwen2") / "base"), options());
  int asked = 0;
  const auto pause = [] { std::this_thread::sleep_for(std::chrono::milliseconds(150)); };
  const std::function<bool()> stop = [&] {
    pause();  // it is asked ten times a second: the next time may be at once
    return ++asked > 1;
  };
  int rows = 0;
  const auto count = [&](int64_t, std::span<const float>) { ++rows; };
  {
    Team team(stop);
    const TeamMember member(&team);
    pause();
    EXPECT_THROW(engine.forward(prompt(600), LogitRows::All, count), Stopped);
  }
  EXPECT_EQ(asked, 2);
  EXPECT_EQ(rows, 0);
  engine.forward(prompt(600), LogitRows::All, count);
  EXPECT_EQ(rows, 600) << "it goes on as before";
}

TEST(Engine, TakesNoMoreThreadsThanLlamaCpp) {
  const Checkpoint checkpoint(model("pico-qwen2") / "base");
  EXPECT_EQ(error_of([&] { Engine(checkpoint, {.dtype = DType::F32, .threads = 513}); }),
            "threads: 513 are more than 512");
}

TEST(RotatedRow, PutsPairsSideBySide) {
  std::vector<int64_t> rows(8);
  for (int64_t i = 0; i < 8; ++i) rows[static_cast<size_t>(i)] = rotated_row(i, 6);
  EXPECT_EQ(rows, (std::vector<int64_t>{0, 3, 1, 4, 2, 5, 6, 7}));
}

}  // namespace
}  // namespace gyro
