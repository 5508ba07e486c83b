// The engine on GPUs against itself on the CPU; skipped where llama.cpp has none.
#include <ggml-backend.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "gyro/checkpoint/checkpoint.h"
#include "gyro/infer/chat_template.h"
#include "gyro/infer/engine.h"
#include "gyro/infer/generate.h"
#include "gyro/infer/gguf_image.h"
#include "gyro/infer/test_util.h"

namespace gyro {
namespace {

std::vector<int32_t> prompt(int count) {
  std::vector<int32_t> ids(static_cast<size_t>(count));
  for (int i = 0; i < count; ++i) ids[static_cast<size_t>(i)] = 3 + (i * 37) % 400;
  return ids;
}

EngineOptions on_gpu(std::optional<DType> dtype = DType::F32) {
  return {.dtype = dtype, .on_gpu = true};
}

double largest(std::span<const float> values) {
  double most = 0;
  for (const float value : values) most = std::max(most, std::abs(static_cast<double>(value)));
  return most;
}

// In parts of the largest value: llama.cpp has GPUs multiply F32 in TF32.
void expect_near(std::span<const float> a, std::span<const float> b, double tolerance) {
  ASSERT_EQ(a.size(), b.size());
  const double scale = largest(b);
  double worst = 0;
  for (size_t i = 0; i < a.size(); ++i) worst = std::max(worst, std::abs(static_cast<double>(a[i] - b[i])));
  EXPECT_LT(worst, tolerance * scale);
}

class OnGpu : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    if (ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_GPU) == nullptr) GTEST_SKIP() << "no GPU";
  }
  Checkpoint instruct{shipped_model(std::string(GetParam()) + "/instruct")};
};

TEST_P(OnGpu, LogitsAreThoseOfTheCpu) {
  Engine gpu(instruct, on_gpu()), cpu(instruct, {.dtype = DType::F32});
  EXPECT_TRUE(gpu.on_gpu());
  expect_near(gpu.logits(prompt(300)), cpu.logits(prompt(300)), 6e-3);
}

TEST_P(OnGpu, SwapsToTheLastBit) {
  const Checkpoint base(shipped_model(std::string(GetParam()) + "/base"));
  for (const std::optional<DType> dtype : {std::optional<DType>(DType::F32), std::optional<DType>()}) {
    Engine engine(base, on_gpu(dtype)), other(instruct, on_gpu(dtype));
    const std::vector<float> of_base = engine.logits(prompt(90)), of_instruct = other.logits(prompt(90));
    EXPECT_NE(of_base, of_instruct);
    engine.swap(instruct);
    EXPECT_EQ(engine.logits(prompt(90)), of_instruct);
    engine.swap(base);
    EXPECT_EQ(engine.logits(prompt(90)), of_base);
  }
}

TEST_P(OnGpu, TapsAreThoseOfTheCpu) {
  Engine gpu(instruct, on_gpu()), cpu(instruct, {.dtype = DType::F32});
  const TapRequest request = {.attention_rows = {0, 70, 199}, .hidden_positions = {5, 199}};
  const auto nothing = [](int64_t, std::span<const float>) {};
  const std::vector<int32_t> ids = prompt(200);
  const Taps found = gpu.forward(ids, LogitRows::Last, nothing, request);
  const Taps expected = cpu.forward(ids, LogitRows::Last, nothing, request);
  expect_near(found.attention, expected.attention, 2e-3);
  expect_near(found.hidden, expected.hidden, 2e-3);
  const auto row = std::span(found.attention).subspan(200, 200);
  EXPECT_NEAR(std::accumulate(row.begin(), row.end(), 0.0), 1, 1e-5);
}

// Where a text's choices are not close, it does not hang on what else is computed.
TEST_P(OnGpu, GreedyTextsAreThoseOfTheCpu) {
  const Engine gpu(instruct, on_gpu()), cpu(instruct, {.dtype = DType::F32});
  std::vector<GeneratePrompt> prompts;
  for (int i = 0; i < 40; ++i) prompts.push_back({prompt(1 + i * 7 % 60), static_cast<uint64_t>(i)});
  GenerateOptions options{.sampler = {.temperature = 0}, .max_tokens = 8, .log_probabilities = true};
  const Generations expected = generate(cpu, prompts, {}, options);
  for (const int slots : {1, 7, 40}) {
    options.slots = slots;
    const Generations found = generate(gpu, prompts, {}, options);
    EXPECT_FALSE(found.batch_independent);
    int same = 0;
    for (size_t i = 0; i < prompts.size(); ++i) {
      same += found.texts[i].ids == expected.texts[i].ids;
      EXPECT_NEAR(found.texts[i].log_probabilities[0], expected.texts[i].log_probabilities[0], 2e-2);
    }
    EXPECT_GE(same, 36) << slots;
  }
}

// Both are tried or done in child processes, which must not touch the GPU that this one uses.
TEST_P(OnGpu, GgufFilesAndTemplatesStandBesideIt) {
  const TempDir dir;
  const Descriptor image = make_image(instruct, plan_image(instruct, DType::F32), nullptr, ImageWeights::Written);
  std::filesystem::copy_file(fmt::format("/proc/self/fd/{}", image.get()), dir / "model.gguf");
  Engine checkpoint(instruct, on_gpu()), file(dir / "model.gguf", on_gpu(std::nullopt));
  EXPECT_EQ(file.logits(prompt(100)), checkpoint.logits(prompt(100)));
  const ChatTemplate chat("template", "{{ messages[0].content }}!");
  const ChatMessage message{"user", "hi"};
  EXPECT_EQ(chat.render({&message, 1}, {}), "hi!");
  write_text(dir / "bad.gguf", "GGUF");
  EXPECT_NE(error_of([&] { Engine(dir / "bad.gguf", on_gpu(std::nullopt)); }).find("bad.gguf"), std::string::npos);
}

INSTANTIATE_TEST_SUITE_P(Models, OnGpu,
                         testing::Values("pico-qwen2", "pico-qwen3", "pico-llama", "pico-mistral", "pico-gemma2",
                                         "pico-phi3"),
                         [](const auto& family) { return std::string(family.param).substr(5); });

}  // namespace
}  // namespace gyro
