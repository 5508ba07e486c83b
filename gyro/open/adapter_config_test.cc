#include "gyro/open/adapter_config.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cmath>

#include "gyro/base/test_util.h"

namespace gyro {
namespace {

// A config with these fields after those that every one has.
LoraConfig parse(const std::string& fields) {
  return parse_lora_config("c", R"({"peft_type":"LORA")" + (fields.empty() ? "" : "," + fields) + "}");
}

std::string refusal(const std::string& fields) {
  const std::string line = error_of([&] { parse(fields); });
  EXPECT_FALSE(contains(line, "\n"));
  return line;
}

TEST(LoraConfig, HasPeftsDefaults) {
  const LoraConfig config = parse("");
  EXPECT_EQ(config.rank, 8);
  EXPECT_EQ(config.alpha, 8);
  EXPECT_EQ(config.share_of("any").scaling, 1);
  EXPECT_FALSE(config.target_modules);
  EXPECT_EQ(config.base, "");
}

TEST(LoraConfig, Scaling) {
  EXPECT_EQ(parse(R"("r":16,"lora_alpha":8)").share_of("q").scaling, 0.5);
  EXPECT_EQ(parse(R"("r":16,"lora_alpha":8,"use_rslora":true)").share_of("q").scaling, 2);
  // The first key of the file that matches counts, whatever its letters.
  const LoraConfig config = parse(R"("r":4,"lora_alpha":4,"rank_pattern":{"up_proj":2,"layers\\.1\\..*":8,"b":3},)"
                                  R"("alpha_pattern":{"layers\\.1\\..*":16,"model.layers.1.mlp.up_proj":32})");
  EXPECT_EQ(config.share_of("model.layers.1.mlp.up_proj").rank, 2);
  EXPECT_EQ(config.share_of("model.layers.1.mlp.down_proj").rank, 8);
  EXPECT_EQ(config.share_of("model.layers.0.mlp.down_proj").rank, 4);
  EXPECT_EQ(config.share_of("model.layers.1.mlp.up_proj").scaling, 8);
  EXPECT_EQ(config.share_of("model.layers.1.mlp.down_proj").scaling, 2);
  EXPECT_EQ(config.share_of("model.layers.0.mlp.up_proj").scaling, 2);
}

std::string pattern_of(int count, const std::string& beginning) {
  std::string text;
  for (int i = 0; i < count; ++i) text += fmt::format("{}\"{}{}\":4", i == 0 ? "" : ",", beginning, i);
  return fmt::format("\"rank_pattern\":{{{}}}", text);
}

// EVA writes the whole name of each module.
TEST(LoraConfig, ManyKeysTakeLittleTime) {
  const auto begin = std::chrono::steady_clock::now();
  const LoraConfig config = parse(pattern_of(40'000, "model.layers.1.mlp.experts."));
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(config.share_of("model.layers.1.mlp.experts.39999").rank, 4);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(5));
}

TEST(LoraConfig, PatternsAreBounded) {
  EXPECT_TRUE(contains(refusal(pattern_of(50'001, "k")), "c: rank_pattern has more than 50000 entries"));
  // 15 bytes each, which would be 19,000 steps.
  EXPECT_TRUE(
      contains(refusal(pattern_of(2000, "(a{1000}){19}")), "c: rank_pattern has larger expressions than Gyro reads"));
}

TEST(LoraConfig, WhatChangesNothingIsTaken) {
  parse(
      R"("task_type":"CAUSAL_LM","bias":"all","lora_dropout":0.1,"target_modules":"all-linear","megatron_config":null,)"
      R"("loftq_config":{},"layer_replication":null,"eva_config":{"rho":2},"init_lora_weights":"eva",)"
      R"("alora_invocation_tokens":null,"use_qalora":false,"qalora_group_size":16,"peft_version":"0.21.2",)"
      R"("exclude_modules":["lm_head"],"megatron_core":"megatron.core","a_field_of_tomorrow":null)");
}

TEST(LoraConfig, RefusesWhatItDoesNotRead) {
  EXPECT_TRUE(contains(error_of([] { parse_lora_config("c", R"({"peft_type":"IA3"})"); }),
                       "c: peft_type is IA3: of adapters Gyro reads LoRA"));
  EXPECT_TRUE(contains(error_of([] { parse_lora_config("c", "{}"); }), "c: peft_type is missing"));
  EXPECT_TRUE(contains(error_of([] { parse_lora_config("c", "["); }), "c: is not valid JSON"));
  for (const char* start : {"pissa", "pissa_niter_4", "olora", "loftq", "corda", "lora_ga", "new"}) {
    EXPECT_TRUE(contains(refusal(fmt::format(R"("init_lora_weights":"{}")", start)), "which changes the base"))
        << start;
  }
  for (const char* field :
       {R"("layer_replication":[[0,2]])", R"("megatron_config":{"a":1})", R"("trainable_token_indices":[1])",
        R"("alora_invocation_tokens":[1])", R"("target_parameters":["experts.up"])", R"("use_qalora":true)",
        R"("use_bdlora":{"a":1})", R"("arrow_config":{"a":1})", R"("kasa_config":{"a":1})",
        R"("ensure_weight_tying":true)", R"("velora_config":{"a":1})", R"("a_field_of_tomorrow":1)"}) {
    EXPECT_TRUE(contains(refusal(field), "which Gyro does not read: merge the adapter first")) << field;
  }
  for (const char* field :
       {R"("r":null)", R"("lora_alpha":null)", R"("r":0)", R"("r":-1)", R"("r":"8")", R"("lora_alpha":"a")",
        R"("use_dora":1)", R"("rank_pattern":[1])", R"("rank_pattern":{"a":1.5})", R"("rank_pattern":{"a":"b"})",
        R"("rank_pattern":{"(":1})", R"("modules_to_save":[1])", R"("target_modules":{})", R"("r":1e300)",
        R"("rank_pattern":{"a":0})", R"("revision":3)"}) {
    EXPECT_TRUE(refusal(field).starts_with("c: ")) << field << ": " << refusal(field);
  }
}

}  // namespace
}  // namespace gyro
