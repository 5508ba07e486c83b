// App. G.1 on shipped models whose W_Q and W_K are scaled, so that what is expected is exact.

#include "gyro/probe/expected_temperature.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>

#include "gyro/checkpoint/checkpoint.h"
#include "gyro/checkpoint/overlay.h"
#include "gyro/eval/variant_models.h"
#include "gyro/infer/library.h"
#include "gyro/probe/temperature.h"

namespace gyro {
namespace {

namespace fs = std::filesystem;

// `model` with W_Q of block 0 times 2 and its W_K times ¼, exactly: powers of two in BF16.
std::shared_ptr<const TensorSource> scaled(const std::shared_ptr<const TensorSource>& model) {
  OverlaySource::Replacements replaced;
  for (const auto& [name, steps] : {std::pair{"q_proj", 1}, {"k_proj", -2}}) {
    const std::string tensor = fmt::format("model.layers.0.self_attn.{}.weight", name);
    const TensorLease lease = model->read(tensor);
    std::vector<uint16_t> values(lease.bytes.size() / 2);
    std::memcpy(values.data(), lease.bytes.data(), lease.bytes.size());
    for (uint16_t& value : values) {
      if ((value & 0x7f80) != 0) value = static_cast<uint16_t>(value + 0x80 * steps);
    }
    auto bytes = std::make_shared<OverlaySource::Bytes>(lease.bytes.size());
    std::memcpy(bytes->data(), values.data(), lease.bytes.size());
    replaced[tensor] = {*model->find(tensor), [bytes] { return bytes; }};
  }
  return std::make_shared<OverlaySource>(model, std::move(replaced), OverlaySource::Names{}, "scaled");
}

struct Fitted {
  std::vector<ExpectedTemperature> expected;
  TemperatureFit replaced, noise;
};

// The scaled model as the post of its original: block 0 of the variants against it.
Fitted fit(const std::string& family) {
  const fs::path root = GYRO_SOURCE_DIR;
  const std::shared_ptr<const TensorSource> base = std::make_shared<Checkpoint>(root / "models" / family / "instruct");
  const std::shared_ptr<const TensorSource> post = scaled(base);
  std::ifstream file(root / "tests/goldens" / family / "instruct-forward.json");
  const std::vector<int32_t> ids = nlohmann::json::parse(file)["prompts"][0]["ids"];
  Engine engine(*post, {.dtype = DType::F32, .threads = 1});
  VariantModels variants({base, post, nullptr, DType::F32, 0, {}}, {"original", "replace", "replace-noise"});
  const std::vector<LastRows> original = {last_rows(engine, ids, {0})};
  const std::vector<int64_t> keys = {original.front().positions};
  const auto fitted = [&](size_t variant) {
    variants.load(variant, engine);
    const std::vector<LastRows> rows = {last_rows(engine, ids, {0})};
    return fit_block(rows, original, keys, 0).all;
  };
  return {expected_temperatures(base, post, {0, 2}, {}), fitted(1), fitted(2)};
}

class ExpectedTemperatures : public testing::Test {
 protected:
  void SetUp() override {
    if (!can_infer()) GTEST_SKIP() << "no engine";
  }
};

TEST_F(ExpectedTemperatures, AreFound) {
  const Fitted found = fit("pico-llama");
  ASSERT_EQ(found.expected.size(), 2U);
  EXPECT_NEAR(found.expected[0].alpha_q, 2, 1e-9);
  EXPECT_NEAR(found.expected[0].alpha_k, 0.25, 1e-9);
  EXPECT_NEAR(found.expected[0].expected, 2, 1e-8);
  EXPECT_EQ(found.expected[0].why, "");
  EXPECT_EQ(found.expected[1].block, 2);
  EXPECT_NEAR(found.expected[1].expected, 1, 1e-8);
  EXPECT_NEAR(found.replaced.temperature, 2, 1e-4);
  EXPECT_GT(found.replaced.kl, 0.01);
  EXPECT_GT(found.replaced.explained, 1 - 1e-6);
  // Noise as large as the weights makes scores larger, too, which a temperature takes back; but no more than that.
  EXPECT_GT(found.noise.kl, 0.01);
  EXPECT_LT(found.noise.explained, 0.9);
}

// Biases are not scaled with the weights, so the temperature is not quite what is expected of them.
TEST_F(ExpectedTemperatures, WithBiasesAreOfAPart) {
  const Fitted found = fit("pico-qwen2");
  EXPECT_NEAR(found.expected[0].expected, 2, 1e-8);
  EXPECT_EQ(found.expected[0].why, "biases of q and k keep their size: it is of the part of the scores without them");
  EXPECT_GT(std::abs(found.replaced.temperature - 2), 1e-3);
}

TEST_F(ExpectedTemperatures, WithNormsOfHeadsDoNotApply) {
  const Fitted found = fit("pico-qwen3");
  EXPECT_NEAR(found.expected[0].alpha_q, 2, 1e-9);
  EXPECT_TRUE(std::isnan(found.expected[0].expected));
  EXPECT_EQ(found.expected[0].why, "norms of q and k divide the scale of W_Q and W_K out");
  EXPECT_NEAR(found.replaced.temperature, 1, 1e-3);
  EXPECT_LT(found.replaced.kl, 1e-6);
}

TEST_F(ExpectedTemperatures, OfFusedMatricesAndCappedScores) {
  const fs::path models = fs::path(GYRO_SOURCE_DIR) / "models";
  const auto of = [&](const char* family) {
    return expected_temperatures(std::make_shared<Checkpoint>(models / family / "base"),
                                 std::make_shared<Checkpoint>(models / family / "instruct"), {1}, {})
        .front();
  };
  const ExpectedTemperature fused = of("pico-phi3"), capped = of("pico-gemma2");
  EXPECT_NEAR(fused.expected * fused.alpha_q * fused.alpha_k, 1, 1e-12);
  EXPECT_EQ(fused.why, "");
  EXPECT_EQ(capped.why, "scores are capped: it is of those below the cap");
}

}  // namespace
}  // namespace gyro
