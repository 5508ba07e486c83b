#include "gyro/infer/hyperparameters.h"

#include <gtest/gtest.h>

#include <cstring>

#include "gyro/checkpoint/checkpoint.h"
#include "gyro/checkpoint/overlay.h"
#include "gyro/checkpoint/test_util.h"
#include "gyro/infer/image_plan.h"
#include "gyro/infer/test_util.h"

namespace gyro {
namespace {

using Json = nlohmann::json;

// What is read of a shipped model's config.json with changes.
template <typename Change>
Hyperparameters read(const std::string& name, Change change) {
  const ModelCopy copy(name + "/base");
  copy.edit("config.json", change);
  return read_hyperparameters(Checkpoint(copy.path()));
}

template <typename Change>
std::string problem(const std::string& name, Change change) {
  const std::string line = error_of([&] { read(name, change); });
  return line.substr(std::min(line.find("config.json"), line.size()));
}

// Those of transformers' configuration classes, where the file is silent.
TEST(Hyperparameters, DefaultsAreTheClass) {
  const auto without = [](const char* key) { return [key](Json& json) { json.erase(key); }; };
  EXPECT_EQ(read("pico-phi3", without("rms_norm_eps")).norm_epsilon, 1e-5);
  EXPECT_EQ(read("pico-llama", without("rms_norm_eps")).norm_epsilon, 1e-6);
  EXPECT_EQ(read("pico-mistral", without("sliding_window")).window, 4096);
  EXPECT_EQ(read("pico-gemma2", without("sliding_window")).window, 4096);
  EXPECT_EQ(read("pico-phi3", without("sliding_window")).window, 0);
  EXPECT_FALSE(read("pico-qwen2", without("tie_word_embeddings")).tied);
  EXPECT_TRUE(read("pico-gemma2", without("tie_word_embeddings")).tied);
}

TEST(Hyperparameters, NullIsNoWindow) {
  const auto null = [](Json& json) { json["sliding_window"] = nullptr; };
  EXPECT_EQ(read("pico-mistral", null).window, 0);
  EXPECT_EQ(read("pico-qwen2",
                 [](Json& json) {
                   json["use_sliding_window"] = true;
                   json["sliding_window"] = nullptr;
                 })
                .window,
            0);
  EXPECT_EQ(problem("pico-gemma2", null), "config.json: sliding_window must be a number in a gemma2");
}

TEST(Hyperparameters, GemmasActivation) {
  const auto activation = [](const char* type, const Json& older, const Json& newer) {
    return read("pico-gemma2",
                [&](Json& json) {
                  json["model_type"] = type;
                  json["hidden_act"] = older;
                  json["hidden_activation"] = newer;
                })
        .activation;
  };
  EXPECT_EQ(activation("gemma", "gelu", "gelu_pytorch_tanh"), "gelu_pytorch_tanh");
  EXPECT_EQ(activation("gemma", "gelu", nullptr), "gelu") << "which is refused";
  EXPECT_EQ(activation("gemma", nullptr, nullptr), "gelu_pytorch_tanh");
  EXPECT_EQ(activation("gemma2", "gelu", nullptr), "gelu_pytorch_tanh");
}

TEST(Hyperparameters, SaysWhatIsNotRun) {
  const auto scaled = [](const char* kind, const char* key, const Json& value) {
    return [=](Json& json) {
      json["rope_scaling"] = {{"rope_type", kind}, {"factor", 4.0}};
      json["rope_scaling"][key] = value;
    };
  };
  EXPECT_EQ(problem("pico-qwen2", scaled("yarn", "truncate", false)),
            "config.json: rope_scaling.truncate false is not run by this engine");
  EXPECT_EQ(problem("pico-phi3", scaled("yarn", "factor", 2.0)),
            "config.json: rope_scaling 'yarn' of phi3 is not run by this engine");
  EXPECT_EQ(problem("pico-qwen2", scaled("linear", "factor", -1)),
            "config.json: rope_scaling.factor must be a positive number");
  EXPECT_EQ(problem("pico-qwen2", [](Json& json) { json["rms_norm_eps"] = "x"; }),
            "config.json: rms_norm_eps must be a number");
}

// A model whose output is, or is not, the embedding, and whose config.json says whether.
class Output : public testing::Test {
 protected:
  enum class Head { None, Equal, Other };

  static std::string refusal(const std::string& name, bool tied, Head head) {
    const ModelCopy copy(name + "/base");
    copy.edit("config.json", [&](Json& json) { json["tie_word_embeddings"] = tied; });
    const auto checkpoint = std::make_shared<Checkpoint>(copy.path());
    const std::string embedding = "model.embed_tokens.weight", output = "lm_head.weight";
    const TensorLease lease = checkpoint->read(embedding);
    auto bytes = std::make_shared<OverlaySource::Bytes>(lease.bytes.begin(), lease.bytes.end());
    if (head == Head::Other) bytes->front() ^= std::byte{1};
    OverlaySource::Replacements replaced;
    if (head != Head::None) replaced[output] = {*checkpoint->find(embedding), [bytes] { return bytes; }};
    const OverlaySource::Names hidden = {head == Head::None ? output : ""};
    const OverlaySource source(checkpoint, replaced, hidden, "output");
    const std::string line = error_of([&] { plan_image(source, std::nullopt); });
    const size_t colon = line.find(": ");
    return colon == line.npos ? line : line.substr(colon + 2);
  }
};

// One whose sizes have other names, and layers others: it is not asked for hyperparameters.
TEST(PlanImage, NamesAnArchitectureThatIsNotRun) {
  const TempDir dir;
  write_text(dir / "config.json", R"({"model_type":"gpt2","n_embd":8,"n_head":2,"n_layer":1})");
  write_tensors(dir / "model.safetensors", {{"h.0.attn.c_attn.weight", DType::F32, {8, 24}}});
  const Checkpoint checkpoint(dir.path());
  EXPECT_EQ(error_of([&] { plan_image(checkpoint, std::nullopt); }),
            dir.path().string() + ": the architecture 'gpt2' is not run by this engine");
}

TEST_F(Output, ThatContradictsTheConfigIsRefused) {
  const std::string none = error_of([] {});
  for (const char* name : {"pico-qwen2", "pico-llama"}) {
    EXPECT_EQ(refusal(name, true, Head::Other),
              "lm_head.weight is not model.embed_tokens.weight, and tie_word_embeddings of its config.json is true");
    EXPECT_EQ(refusal(name, false, Head::None),
              "has no lm_head.weight, and tie_word_embeddings of its config.json is not true");
    for (const bool tied : {false, true}) EXPECT_EQ(refusal(name, tied, Head::Equal), none);
    EXPECT_EQ(refusal(name, true, Head::None), none);
    EXPECT_EQ(refusal(name, false, Head::Other), none);
  }
  EXPECT_EQ(refusal("pico-gemma2", false, Head::Other),
            "lm_head.weight is not model.embed_tokens.weight, which this engine does not run");
  EXPECT_EQ(refusal("pico-gemma2", false, Head::Equal), none);
}

}  // namespace
}  // namespace gyro
