#include "gyro/checkpoint/config.h"

#include <gtest/gtest.h>

#include "gyro/checkpoint/test_util.h"

namespace gyro {
namespace {

ModelConfig parse(std::string_view text) {
  return parse_config("config.json", text);
}

std::string refusal(std::string_view text) {
  const std::string line = error_of([&] { parse(text); });
  EXPECT_FALSE(contains(line, "\n")) << line;
  return line;
}

TEST(ParseConfig, ReadsItsFields) {
  const ModelConfig config = parse(R"({"architectures":["Qwen2ForCausalLM"],"model_type":"qwen2","hidden_size":64,
    "intermediate_size":192,"num_hidden_layers":3,"num_attention_heads":4,"num_key_value_heads":2,"head_dim":32,
    "tie_word_embeddings":true,"rope_theta":1e4,"eos_token_id":[1,2],"rope_scaling":{"type":"x"}})");
  EXPECT_EQ(config.architecture, "Qwen2ForCausalLM");
  EXPECT_EQ(config.model_type, "qwen2");
  EXPECT_EQ(config.hidden_size, 64);
  EXPECT_EQ(config.intermediate_size, 192);
  EXPECT_EQ(config.num_hidden_layers, 3);
  EXPECT_EQ(config.num_attention_heads, 4);
  EXPECT_EQ(config.num_key_value_heads, 2);
  EXPECT_EQ(config.head_dim, 32);
  EXPECT_TRUE(config.tie_word_embeddings);
  EXPECT_TRUE(config.kv_heads_given && config.head_dim_given);
}

TEST(ParseConfig, DefaultsForAbsentAndNull) {
  for (const char* extra : {"", R"(,"num_key_value_heads":null,"head_dim":null,"quantization_config":null,
                                   "text_config":null,"architectures":null,"tie_word_embeddings":null)"}) {
    const ModelConfig config = parse(fmt::format(R"({{"hidden_size":64,"num_attention_heads":4{}}})", extra));
    EXPECT_EQ(config.num_key_value_heads, 4);
    EXPECT_EQ(config.head_dim, 16);
    EXPECT_FALSE(config.kv_heads_given || config.head_dim_given || config.tie_word_embeddings);
    EXPECT_TRUE(config.architecture.empty() && config.quantization.empty());
  }
  EXPECT_EQ(parse("{}").head_dim, 0);
  EXPECT_EQ(parse(R"({"hidden_size":65,"num_attention_heads":4})").head_dim, 0);
}

TEST(ParseConfig, LooksThroughTextConfig) {
  const ModelConfig config = parse(R"({"model_type":"gemma3","hidden_size":7,"text_config":
    {"model_type":"gemma3_text","hidden_size":2560,"num_hidden_layers":34,
     "quantization_config":{"quant_method":"fp8"}},"vision_config":{"hidden_size":1152}})");
  EXPECT_EQ(config.model_type, "gemma3_text");
  EXPECT_EQ(config.hidden_size, 2560);
  EXPECT_EQ(config.num_hidden_layers, 34);
  EXPECT_EQ(config.quantization, "fp8");
  EXPECT_EQ(parse(R"({"text_config":{"model_type":"llama"}})").model_type, "llama");
}

TEST(ParseConfig, LooksThroughOtherSections) {
  for (const char* text : {R"({"model_type":"x","llm_config":{"model_type":"qwen2","hidden_size":64}})",
                           R"({"model_type":"x","language_config":{"model_type":"qwen2","hidden_size":64}})",
                           R"({"model_type":"x","thinker_config":{"model_type":"y","audio_config":{"hidden_size":9},
                               "text_config":{"model_type":"qwen2","hidden_size":64}}})",
                           R"({"model_type":"x","language_model":"qwen","llm_config":{"model_type":"qwen2",
                               "hidden_size":64}})"}) {
    EXPECT_EQ(parse(text).model_type, "qwen2") << text;
    EXPECT_EQ(parse(text).hidden_size, 64) << text;
  }
  EXPECT_EQ(parse(R"({"text_config":{"text_config":{"text_config":{"hidden_size":64}}}})").hidden_size, 0);
  EXPECT_TRUE(contains(refusal(R"({"llm_config":{"hidden_size":"a"}})"), "llm_config.hidden_size"));
}

TEST(ParseConfig, LatentAttention) {
  const ModelConfig config = parse(R"({"q_lora_rank":null,"kv_lora_rank":512,"qk_nope_head_dim":128,
    "qk_rope_head_dim":64,"v_head_dim":127,"n_routed_experts":60,"n_shared_experts":2})");
  EXPECT_EQ(config.q_lora_rank, 0);
  EXPECT_EQ(config.kv_lora_rank, 512);
  EXPECT_EQ(config.qk_nope_head_dim + config.qk_rope_head_dim + config.v_head_dim, 319);
  EXPECT_EQ(config.num_experts, 60);
  EXPECT_EQ(config.n_shared_experts, 2);
  EXPECT_FALSE(config.first_k_dense_replace);
}

TEST(ParseConfig, LayersWithExperts) {
  const auto sparse = [](const std::string& fields) {
    const ModelConfig config = parse("{" + fields + "}");
    std::string layers;
    for (int64_t layer = 0; layer < 6; ++layer) layers += config.has_experts(layer) ? 'e' : 'd';
    return layers;
  };
  EXPECT_EQ(sparse(R"("num_experts":8)"), "eeeeee");
  EXPECT_EQ(sparse(R"("decoder_sparse_step":2)"), "dedede");
  EXPECT_EQ(sparse(R"("decoder_sparse_step":2,"mlp_only_layers":[1,4])"), "dddede");
  EXPECT_EQ(sparse(R"("mlp_only_layers":null,"moe_layers":null)"), "eeeeee");
  EXPECT_EQ(sparse(R"("text_config":{"interleave_moe_layer_step":3})"), "ddedde");
  EXPECT_EQ(sparse(R"("moe_layers":[0,5],"interleave_moe_layer_step":2)"), "edddde");
  EXPECT_EQ(sparse(R"("moe_layers":[])"), "dddddd");
  EXPECT_EQ(sparse(R"("first_k_dense_replace":3,"moe_layer_freq":1)"), "dddeee");
  EXPECT_EQ(sparse(R"("first_k_dense_replace":1,"moe_layer_freq":2)"), "ddeded");
  EXPECT_TRUE(contains(refusal(R"({"moe_layer_freq":0})"), "moe_layer_freq must not be 0"));
  const ModelConfig config = parse(R"({"num_local_experts":16,"moe_intermediate_size":5,"intermediate_size_mlp":7})");
  EXPECT_EQ(config.num_experts, 16);
  EXPECT_EQ(config.moe_intermediate_size, 5);
  EXPECT_EQ(config.intermediate_size_mlp, 7);
  EXPECT_TRUE(contains(refusal(R"({"decoder_sparse_step":0})"), "decoder_sparse_step"));
  for (const char* list : {"3", R"("all")", "[-1]", "[1.5]", "[null]"}) {
    EXPECT_TRUE(contains(refusal(fmt::format(R"({{"mlp_only_layers":{}}})", list)), "mlp_only_layers must be")) << list;
  }
}

TEST(ParseConfig, ReadsQuantisation) {
  const ModelConfig config =
      parse(R"({"quantization_config":{"quant_method":"fp8","weight_block_size":[64,128],"bits":8}})");
  EXPECT_EQ(config.quantization, "fp8");
  EXPECT_EQ(config.fp8_block_rows, 64);
  EXPECT_EQ(config.fp8_block_cols, 128);
  EXPECT_EQ(parse(R"({"quantization_config":{"weight_block_size":null}})").fp8_block_rows, 0);
}

TEST(ParseConfig, RefusesWhatIsNotJson) {
  EXPECT_TRUE(contains(refusal(""), "config.json: is not valid JSON"));
  EXPECT_TRUE(contains(refusal("garbage"), "is not valid JSON"));
  EXPECT_TRUE(contains(refusal("{\"a\":\n\n\"\x01\"}"), "is not valid JSON"));
  EXPECT_TRUE(contains(refusal("{\"a\":\"\xc3\x28\"}"), "is not valid JSON"));
  EXPECT_TRUE(contains(refusal(std::string_view("{}\0", 3)), "byte 2 is zero"));
  EXPECT_TRUE(contains(refusal(R"({"a":1e999})"), "is not valid JSON"));
  EXPECT_TRUE(contains(refusal(std::string(100'000, '[')), "nested deeper than 64"));
  EXPECT_TRUE(contains(refusal(R"({"model_type":"llama","model_type":"qwen2"})"), "has the key \"model_type\" twice"));
  for (const char* text : {"[]", "null", "3", "\"x\""}) EXPECT_TRUE(contains(refusal(text), "must hold a JSON object"));
}

TEST(ParseConfig, RefusesWrongTypes) {
  for (const char* key : {"hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
                          "num_key_value_heads", "head_dim"}) {
    for (const char* value :
         {"-1", "1.5", "64.0", "\"64\"", "[64]", "{}", "true", "1000000001", "18446744073709551616"}) {
      const std::string line = refusal(fmt::format(R"({{"{}":{}}})", key, value));
      EXPECT_TRUE(contains(line, fmt::format("{} must be an integer from 0 to", key))) << line;
    }
  }
  EXPECT_TRUE(contains(refusal(R"({"model_type":3})"), "model_type must be a string"));
  EXPECT_TRUE(contains(refusal(R"({"tie_word_embeddings":"yes"})"), "tie_word_embeddings must be true or false"));
  EXPECT_TRUE(contains(refusal(R"({"architectures":"x"})"), "architectures must be an array of strings"));
  EXPECT_TRUE(contains(refusal(R"({"architectures":["x",1]})"), "architectures must be an array of strings"));
  EXPECT_TRUE(contains(refusal(R"({"text_config":[]})"), "text_config must be an object"));
  EXPECT_TRUE(contains(refusal(R"({"text_config":{"head_dim":-1}})"), "text_config.head_dim must be an integer"));
  EXPECT_TRUE(contains(refusal(R"({"quantization_config":"fp8"})"), "quantization_config must be an object"));
  for (const char* block : {"128", "[]", "[128]", "[128,128,128]", "[128,\"x\"]", "[128,-1]", "[0,128]"}) {
    const std::string line = refusal(fmt::format(R"({{"quantization_config":{{"weight_block_size":{}}}}})", block));
    EXPECT_TRUE(contains(line, "weight_block_size must")) << line;
  }
}

TEST(ParseConfig, RefusesContradictions) {
  EXPECT_TRUE(contains(refusal(R"({"num_attention_heads":6,"num_key_value_heads":4})"), "6 is no multiple of"));
  EXPECT_TRUE(contains(refusal(R"({"num_attention_heads":2,"num_key_value_heads":4})"), "2 is no multiple of"));
  EXPECT_TRUE(contains(refusal(R"({"num_key_value_heads":0})"), "num_key_value_heads must not be 0"));
  EXPECT_TRUE(contains(refusal(R"({"head_dim":0})"), "head_dim must not be 0"));
  EXPECT_TRUE(contains(refusal(R"({"num_hidden_layers":100001})"), "num_hidden_layers must be an integer"));
}

}  // namespace
}  // namespace gyro
