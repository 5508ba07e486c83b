// Mixtures of experts in their published sizes, cut to two layers, against what is found in them. The sizes are those
// of transformers' configuration classes, whose defaults are DeepSeek-V3, Qwen1.5-MoE, Qwen3-30B-A3B, Mixtral and
// Scout; of DeepSeek-V2-Lite and gpt-oss-20b as others quote their config.json. Names and layouts are the modelling
// files'. Weights are not needed for it.

#include <gtest/gtest.h>

#include "gyro/arch/arch.h"
#include "gyro/base/error.h"
#include "gyro/checkpoint/source.h"

namespace gyro {
namespace {

// Names and shapes only.
class Layout : public TensorSource {
 public:
  Layout(std::string_view config, Tensors tensors) : TensorSource("published") {
    config_ = parse_config("config.json", config);
    tensors_ = std::move(tensors);
  }
  TensorLease read_rows(std::string_view name, int64_t, int64_t) const override { fail(std::string(name), "no bytes"); }
  void prefetch(std::string_view, int64_t, int64_t) const override {}
  void check() const override {}
  std::string sha256() const override { return ""; }
  void hash_samples(Sha256&) const override {}
  std::vector<std::string> companions() const override { return {}; }
  std::string companion(std::string_view, size_t) const override { return ""; }
  std::string id() const override { return "published"; }
  std::string revision() const override { return ""; }
  std::string hub_id() const override { return ""; }
};

struct Named {
  std::string name;  // {} is the expert's number
  std::vector<int64_t> shape;
  int experts = 1;
};

struct Published {
  const char* label;
  const char* config;
  std::string prefix;
  std::vector<Named> dense, sparse;  // layers 0 and 1
  std::string dense_list, sparse_list;
};

TensorSource::Tensors tensors_of(const Published& model) {
  TensorSource::Tensors tensors;
  for (int layer = 0; layer < 2; ++layer) {
    for (const auto& [name, shape, experts] : layer == 0 ? model.dense : model.sparse) {
      for (int e = 0; e < experts; ++e) {
        const std::string own = experts > 1 ? fmt::format(fmt::runtime(name), e) : name;
        tensors[fmt::format("{}{}.{}", model.prefix, layer, own)] = {DType::BF16, shape};
      }
    }
  }
  return tensors;
}

// "W_Q 16x8, 64 W_gate 12x8, ".
std::string counted(const ModelMap& map, int64_t layer) {
  std::string out;
  for (const MatrixSite& site : map.sites) {
    if (site.layer != layer || site.expert > 0) continue;
    const auto all = std::count_if(map.sites.begin(), map.sites.end(), [&](const MatrixSite& other) {
      return std::tuple(other.layer, other.type, other.d_out, other.d_in) ==
             std::tuple(site.layer, site.type, site.d_out, site.d_in);
    });
    const std::string count = site.expert < 0 ? "" : fmt::format("{} ", all);
    out += fmt::format("{}{} {}x{}, ", count, type_name(site.type), site.d_out, site.d_in);
  }
  return out;
}

std::vector<Named> joined(std::vector<Named> a, const std::vector<Named>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

std::vector<Named> attention(int64_t q, int64_t kv, int64_t hidden) {
  return {{"self_attn.q_proj.weight", {q, hidden}},
          {"self_attn.k_proj.weight", {kv, hidden}},
          {"self_attn.v_proj.weight", {kv, hidden}},
          {"self_attn.o_proj.weight", {hidden, q}}};
}

std::vector<Named> mlp(const std::string& module, int64_t width, int64_t hidden, int experts = 1) {
  return {{module + ".gate_proj.weight", {width, hidden}, experts},
          {module + ".up_proj.weight", {width, hidden}, experts},
          {module + ".down_proj.weight", {hidden, width}, experts}};
}

// deepseek-ai/DeepSeek-V2-Lite: no q_lora_rank.
Published v2_lite() {
  const std::vector<Named> latent = {{"self_attn.q_proj.weight", {3072, 2048}},
                                     {"self_attn.kv_a_proj_with_mqa.weight", {576, 2048}},
                                     {"self_attn.kv_b_proj.weight", {4096, 512}},
                                     {"self_attn.o_proj.weight", {2048, 2048}}};
  const std::vector<Named> sparse =
      joined(joined(latent, mlp("mlp.experts.{}", 1408, 2048, 64)),
             joined(mlp("mlp.shared_experts", 2816, 2048), {{"mlp.gate.weight", {64, 2048}}}));
  return {"DeepSeekV2Lite",
          R"({"model_type":"deepseek_v2","hidden_size":2048,"intermediate_size":10944,"moe_intermediate_size":1408,
              "num_hidden_layers":2,"num_attention_heads":16,"num_key_value_heads":16,"q_lora_rank":null,
              "kv_lora_rank":512,"qk_nope_head_dim":128,"qk_rope_head_dim":64,"v_head_dim":128,"n_routed_experts":64,
              "n_shared_experts":2,"first_k_dense_replace":1,"moe_layer_freq":1})",
          "model.layers.",
          joined(latent, mlp("mlp", 10944, 2048)),
          sparse,
          "W_Q 3072x2048, W_O 2048x2048, W_gate 10944x2048, W_up 10944x2048, W_down 2048x10944, W_DKV 576x2048, "
          "W_UKV 4096x512, ",
          "W_Q 3072x2048, W_O 2048x2048, 64 W_gate 1408x2048, 64 W_up 1408x2048, 64 W_down 2048x1408, "
          "W_DKV 576x2048, W_UKV 4096x512, W_router 64x2048, W_shared_gate 2816x2048, W_shared_up 2816x2048, "
          "W_shared_down 2048x2816, "};
}

// deepseek-ai/DeepSeek-V3, with fewer dense layers, and the multi-token layer that comes after the last.
Published v3() {
  const std::vector<Named> latent = {{"self_attn.q_a_proj.weight", {1536, 7168}},
                                     {"self_attn.q_b_proj.weight", {24576, 1536}},
                                     {"self_attn.kv_a_proj_with_mqa.weight", {576, 7168}},
                                     {"self_attn.kv_b_proj.weight", {32768, 512}},
                                     {"self_attn.o_proj.weight", {7168, 16384}}};
  const std::vector<Named> sparse =
      joined(joined(latent, mlp("mlp.experts.{}", 2048, 7168, 256)),
             joined(mlp("mlp.shared_experts", 2048, 7168), {{"mlp.gate.weight", {256, 7168}}}));
  const std::string a = "W_O 7168x16384, ", b = "W_DQ 1536x7168, W_UQ 24576x1536, W_DKV 576x7168, W_UKV 32768x512, ";
  return {"DeepSeekV3",
          R"({"model_type":"deepseek_v3","hidden_size":7168,"intermediate_size":18432,"moe_intermediate_size":2048,
              "num_hidden_layers":2,"num_attention_heads":128,"num_key_value_heads":128,"q_lora_rank":1536,
              "kv_lora_rank":512,"qk_nope_head_dim":128,"qk_rope_head_dim":64,"v_head_dim":128,"n_routed_experts":256,
              "n_shared_experts":1,"first_k_dense_replace":1,"moe_layer_freq":1,"num_nextn_predict_layers":1})",
          "model.layers.",
          joined(latent, mlp("mlp", 18432, 7168)),
          sparse,
          a + "W_gate 18432x7168, W_up 18432x7168, W_down 7168x18432, " + b,
          a + "256 W_gate 2048x7168, 256 W_up 2048x7168, 256 W_down 7168x2048, " + b +
              "W_router 256x7168, W_shared_gate 2048x7168, W_shared_up 2048x7168, W_shared_down 7168x2048, "};
}

// Qwen/Qwen1.5-MoE-A2.7B and Qwen/Qwen3-30B-A3B: every layer has experts.
Published qwen2_moe() {
  const std::vector<Named> layer =
      joined(joined(attention(2048, 2048, 2048), mlp("mlp.experts.{}", 1408, 2048, 60)),
             joined(mlp("mlp.shared_expert", 5632, 2048),
                    {{"mlp.gate.weight", {60, 2048}}, {"mlp.shared_expert_gate.weight", {1, 2048}}}));
  const std::string list =
      "W_Q 2048x2048, W_K 2048x2048, W_V 2048x2048, W_O 2048x2048, 60 W_gate 1408x2048, 60 W_up 1408x2048, "
      "60 W_down 2048x1408, W_router 60x2048, W_shared_gate 5632x2048, W_shared_up 5632x2048, W_shared_down "
      "2048x5632, ";
  return {"Qwen15MoeA27B",
          R"({"model_type":"qwen2_moe","hidden_size":2048,"intermediate_size":5632,"moe_intermediate_size":1408,
              "shared_expert_intermediate_size":5632,"num_hidden_layers":2,"num_attention_heads":16,
              "num_key_value_heads":16,"num_experts":60,"decoder_sparse_step":1})",
          "model.layers.",
          layer,
          layer,
          list,
          list};
}

Published qwen3_moe() {
  const std::vector<Named> layer = joined(joined(attention(4096, 512, 2048), mlp("mlp.experts.{}", 768, 2048, 128)),
                                          {{"mlp.gate.weight", {128, 2048}}});
  const std::string list =
      "W_Q 4096x2048, W_K 512x2048, W_V 512x2048, W_O 2048x4096, 128 W_gate 768x2048, 128 W_up 768x2048, "
      "128 W_down 2048x768, W_router 128x2048, ";
  return {"Qwen330BA3B",
          R"({"model_type":"qwen3_moe","hidden_size":2048,"intermediate_size":6144,"moe_intermediate_size":768,
              "num_hidden_layers":2,"num_attention_heads":32,"num_key_value_heads":4,"head_dim":128,"num_experts":128,
              "decoder_sparse_step":1,"mlp_only_layers":[]})",
          "model.layers.",
          layer,
          layer,
          list,
          list};
}

// mistralai/Mixtral-8x7B-v0.1.
Published mixtral() {
  const std::string module = "block_sparse_moe.experts.{}.";
  const std::vector<Named> layer = joined(attention(4096, 1024, 4096), {{module + "w1.weight", {14336, 4096}, 8},
                                                                        {module + "w3.weight", {14336, 4096}, 8},
                                                                        {module + "w2.weight", {4096, 14336}, 8},
                                                                        {"block_sparse_moe.gate.weight", {8, 4096}}});
  const std::string list =
      "W_Q 4096x4096, W_K 1024x4096, W_V 1024x4096, W_O 4096x4096, 8 W_gate 14336x4096, 8 W_up 14336x4096, "
      "8 W_down 4096x14336, W_router 8x4096, ";
  return {"Mixtral8x7B",
          R"({"model_type":"mixtral","hidden_size":4096,"intermediate_size":14336,"num_hidden_layers":2,
              "num_attention_heads":32,"num_key_value_heads":8,"num_local_experts":8})",
          "model.layers.",
          layer,
          layer,
          list,
          list};
}

// openai/gpt-oss-20b in BF16.
Published gpt_oss() {
  const std::vector<Named> layer = joined(attention(4096, 512, 2880), {{"mlp.experts.gate_up_proj", {32, 2880, 5760}},
                                                                       {"mlp.experts.down_proj", {32, 2880, 2880}},
                                                                       {"mlp.router.weight", {32, 2880}},
                                                                       {"self_attn.sinks", {64}}});
  const std::string list =
      "W_Q 4096x2880, W_K 512x2880, W_V 512x2880, W_O 2880x4096, 32 W_gate 2880x2880, 32 W_up 2880x2880, "
      "32 W_down 2880x2880, W_router 32x2880, ";
  return {"GptOss20B",
          R"({"model_type":"gpt_oss","hidden_size":2880,"intermediate_size":2880,"num_hidden_layers":2,
              "num_attention_heads":64,"num_key_value_heads":8,"head_dim":64,"num_local_experts":32})",
          "model.layers.",
          layer,
          layer,
          list,
          list};
}

// meta-llama/Llama-4-Scout-17B-16E.
Published scout() {
  const std::vector<Named> layer =
      joined(joined(attention(5120, 1024, 5120), mlp("feed_forward.shared_expert", 8192, 5120)),
             {{"feed_forward.experts.gate_up_proj", {16, 5120, 16384}},
              {"feed_forward.experts.down_proj", {16, 8192, 5120}},
              {"feed_forward.router.weight", {16, 5120}}});
  const std::string list =
      "W_Q 5120x5120, W_K 1024x5120, W_V 1024x5120, W_O 5120x5120, 16 W_gate 8192x5120, 16 W_up 8192x5120, "
      "16 W_down 5120x8192, W_router 16x5120, W_shared_gate 8192x5120, W_shared_up 8192x5120, W_shared_down "
      "5120x8192, ";
  return {"Llama4Scout",
          R"({"model_type":"llama4","text_config":{"model_type":"llama4_text","hidden_size":5120,
              "intermediate_size":8192,"intermediate_size_mlp":16384,"num_hidden_layers":2,"num_attention_heads":40,
              "num_key_value_heads":8,"head_dim":128,"num_local_experts":16,"interleave_moe_layer_step":1}})",
          "language_model.model.layers.",
          layer,
          layer,
          list,
          list};
}

class EachPublished : public testing::TestWithParam<Published> {};

TEST_P(EachPublished, IsMapped) {
  const Published& model = GetParam();
  const ModelMap map = map_model(Layout(model.config, tensors_of(model)));
  EXPECT_EQ(counted(map, 0), model.dense_list);
  EXPECT_EQ(counted(map, 1), model.sparse_list);
  EXPECT_TRUE(map.warnings.empty());
}

// config.json is not needed for it: every size is in some shape.
TEST_P(EachPublished, SizesOfItsTensors) {
  const Published& model = GetParam();
  const ModelConfig told = parse_config("config.json", model.config);
  const std::string bare = fmt::format(R"({{"model_type":"{}"}})", told.model_type);
  const Layout layout(bare, tensors_of(model));
  if (told.intermediate_size_mlp == 0) {
    const ModelMap map = map_model(layout);
    EXPECT_EQ(counted(map, 0), model.dense_list);
    EXPECT_EQ(counted(map, 1), model.sparse_list);
  }
  EXPECT_EQ(count_layers(layout), 2);
}

// No tensor of another type is looked at, nor its sizes.
TEST_P(EachPublished, AttentionAlone) {
  const Published& model = GetParam();
  TensorSource::Tensors tensors = tensors_of(model);
  std::erase_if(tensors, [](const auto& each) { return each.first.find("self_attn") == std::string::npos; });
  std::vector<MatrixType> types;
  std::copy_if(kAllMatrixTypes.begin(), kAllMatrixTypes.end(), std::back_inserter(types), type_is_attention);
  const ModelMap map = map_model(Layout(model.config, std::move(tensors)), types);
  std::string expected;
  for (const MatrixSite& site : map_model(Layout(model.config, tensors_of(model))).sites) {
    if (site.layer == 1 && type_is_attention(site.type))
      expected += fmt::format("{} {}x{}, ", type_name(site.type), site.d_out, site.d_in);
  }
  EXPECT_EQ(counted(map, 1), expected);
}

INSTANTIATE_TEST_SUITE_P(Models, EachPublished,
                         testing::Values(v2_lite(), v3(), qwen2_moe(), qwen3_moe(), mixtral(), gpt_oss(), scout()),
                         [](const auto& row) { return std::string(row.param.label); });

TEST(Deepseek, LayersBeyondTheLastAreLeftOut) {
  const Published model = v3();
  TensorSource::Tensors tensors = tensors_of(model);
  tensors["model.layers.2.eh_proj.weight"] = {DType::BF16, {7168, 14336}};
  const ModelMap map = map_model(Layout(model.config, std::move(tensors)));
  EXPECT_EQ(counted(map, 1), model.sparse_list);
  ASSERT_EQ(map.warnings.size(), 1u);
  EXPECT_NE(map.warnings[0].find("eh_proj"), std::string::npos);
}

TEST(Deepseek, WhatIsMissingIsNamed) {
  const Published model = v3();
  for (const char* name : {"self_attn.q_a_proj", "self_attn.kv_b_proj", "mlp.shared_experts.up_proj"}) {
    TensorSource::Tensors tensors = tensors_of(model);
    const std::string full = fmt::format("model.layers.1.{}.weight", name);
    ASSERT_EQ(tensors.erase(full), 1u);
    const Layout layout(model.config, std::move(tensors));
    try {
      map_model(layout);
      ADD_FAILURE() << name;
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find("has no tensor \"" + full), std::string::npos) << error.what();
    }
  }
}

}  // namespace
}  // namespace gyro
