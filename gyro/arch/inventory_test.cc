#include "gyro/arch/inventory.h"

#include <gtest/gtest.h>

#include "gyro/checkpoint/checkpoint.h"
#include "gyro/checkpoint/test_util.h"

namespace gyro {
namespace {

Inventory of(const TempDir& dir, const std::string& config, std::vector<TestTensor> tensors) {
  write_text(dir / "config.json", config);
  write_tensors(dir / "model.safetensors", std::move(tensors));
  return take_inventory(Checkpoint(dir.path()));
}

std::vector<TestTensor> layer(const std::string& prefix) {
  const std::string name = prefix + "layers.0.";
  return {
      {name + "self_attn.q_proj.weight", DType::BF16, {8, 8}}, {name + "self_attn.k_proj.weight", DType::BF16, {4, 8}},
      {name + "self_attn.v_proj.weight", DType::BF16, {4, 8}}, {name + "self_attn.o_proj.weight", DType::BF16, {8, 8}},
      {name + "mlp.gate_proj.weight", DType::BF16, {12, 8}},   {name + "mlp.up_proj.weight", DType::F32, {12, 8}},
      {name + "mlp.down_proj.weight", DType::BF16, {8, 12}},   {name + "input_layernorm.weight", DType::F32, {8}}};
}

constexpr const char* kConfig =
    R"({"model_type": "llama", "hidden_size": 8, "intermediate_size": 12, "num_hidden_layers": 1, "num_attention_heads": 2,
        "num_key_value_heads": 1})";

TEST(Inventory, CountsWhatThereIs) {
  const TempDir dir;
  std::vector<TestTensor> tensors = layer("model.");
  tensors.push_back({"model.embed_tokens.weight", DType::BF16, {20, 8}});
  tensors.push_back({"lm_head.weight", DType::BF16, {20, 8}});
  tensors.push_back({"tower.embed_tokens.weight.far.embed_tokens.weight", DType::BF16, {7, 8}});
  const Inventory found = of(dir, kConfig, std::move(tensors));
  EXPECT_EQ(found.no_matrices, "");
  EXPECT_EQ(found.tensors, 11);
  EXPECT_EQ(found.parameters, 64 + 32 + 32 + 64 + 3 * 96 + 8 + 160 + 160 + 56);
  EXPECT_EQ(found.bytes, static_cast<uint64_t>(2 * found.parameters + 2 * (96 + 8)));
  EXPECT_EQ(found.other_tensors, 4);
  EXPECT_EQ(found.other_parameters, 8 + 160 + 160 + 56);
  EXPECT_EQ(found.vocabulary, 20);
  EXPECT_EQ(found.head, "lm_head.weight");
  ASSERT_EQ(found.matrices.size(), 7U);
  const MatrixGroup& up = found.matrices[5];
  EXPECT_EQ(up.type, MatrixType::Up);
  EXPECT_EQ(up.d_out, 12);
  EXPECT_EQ(up.d_in, 8);
  EXPECT_EQ(up.count, 1);
  EXPECT_EQ(up.experts, 0);
  EXPECT_EQ(up.dtypes, "F32");
  EXPECT_EQ(up.tensor, "model.layers.0.mlp.up_proj.weight");
}

TEST(Inventory, KnowsNames) {
  for (const char* name : {"lm_head.weight", "model.lm_head.weight", "embed_out.weight",
                           "transformer.output_layer.weight", "output.weight"})
    EXPECT_TRUE(is_head_name(name)) << name;
  for (const char* name : {"layers.0.attention.output.weight", "xlm_head.weight", "lm_head.bias", "lm_head.weight.x"})
    EXPECT_FALSE(is_head_name(name)) << name;
  EXPECT_TRUE(is_embeddings_name("transformer.wte.weight"));
  EXPECT_FALSE(is_embeddings_name("tower.layers.3.embed_tokens.weight"));
}

TEST(Inventory, KnowsTiedHeads) {
  const auto tied = [](const std::string& config, bool head, const char* type = "llama") {
    const TempDir dir;
    std::vector<TestTensor> tensors = {{"model.embed_tokens.weight", DType::F32, {3, 2}}};
    if (head) tensors.push_back({"lm_head.weight", DType::F32, {3, 2}});
    return of(dir, fmt::format(R"({{"model_type": "{}"{}}})", type, config), std::move(tensors)).tied;
  };
  for (const bool head : {false, true}) {  // by the classes' defaults
    EXPECT_FALSE(tied("", head));
    EXPECT_TRUE(tied("", head, "gpt2"));
    EXPECT_TRUE(tied("", head, "gemma3"));
    EXPECT_EQ(tied("", head, "shiny"), !head);  // of what is not known, one that is stored without has the embeddings
  }
  EXPECT_TRUE(tied(R"(, "tie_word_embeddings": true)", true));
  EXPECT_FALSE(tied(R"(, "tie_word_embeddings": false)", false));
}

TEST(Inventory, SaysWhyMatricesAreNotKnown) {
  const TempDir dir;
  const Inventory found = of(dir, R"({"model_type": "mystery"})", {{"x.weight", DType::F32, {3, 3}}});
  EXPECT_TRUE(contains(found.no_matrices, "mystery")) << found.no_matrices;
  EXPECT_TRUE(found.matrices.empty());
  EXPECT_EQ(found.parameters, 9);
  EXPECT_EQ(found.other_tensors, 1);
  EXPECT_EQ(found.vocabulary, 0);
  EXPECT_EQ(found.head, "");
}

}  // namespace
}  // namespace gyro
