#include "gyro/arch/table.h"

#include <algorithm>
#include <utility>

namespace gyro {
namespace {

using Rows = std::vector<TensorRow>;
using enum MatrixType;
using enum Layout;

// Rows are shared by architectures, so that adding one is a line of kTable, and rows here where its names are others.

Rows joined(Rows rows, const Rows& more) {
  rows.insert(rows.end(), more.begin(), more.end());
  return rows;
}

const Rows kAttention = {
    {"self_attn.q_proj.weight", Q},
    {"self_attn.k_proj.weight", K},
    {"self_attn.v_proj.weight", V},
    {"self_attn.o_proj.weight", O},
};
const Rows kLlama = joined(kAttention, {
                                           {"mlp.gate_proj.weight", Gate},
                                           {"mlp.up_proj.weight", Up},
                                           {"mlp.down_proj.weight", Down},
                                       });
const Rows kPhi3 = joined(kLlama, {
                                      {"self_attn.qkv_proj.weight", QKV, {Q, K, V}},
                                      {"mlp.gate_up_proj.weight", GateUp, {Gate, Up}},
                                  });
// In the modules of transformers 5 all experts of a layer are two tensors, which it writes apart unless told otherwise.
const Rows kStackedExperts = {
    {"mlp.experts.gate_up_proj", GateUp, {Gate, Up}, Experts},
    {"mlp.experts.down_proj", Down, {}, Experts},
};
const Rows kQwenExperts = joined(
    {
        {"mlp.gate.weight", Router},
        {"mlp.experts.{}.gate_proj.weight", Gate, {}, Expert},
        {"mlp.experts.{}.up_proj.weight", Up, {}, Expert},
        {"mlp.experts.{}.down_proj.weight", Down, {}, Expert},
    },
    kStackedExperts);
const Rows kQwenMoe = joined(kLlama, kQwenExperts);
const Rows kQwen2Moe = joined(kQwenMoe, {
                                            {"mlp.shared_expert.gate_proj.weight", SharedGate},
                                            {"mlp.shared_expert.up_proj.weight", SharedUp},
                                            {"mlp.shared_expert.down_proj.weight", SharedDown},
                                        });
const Rows kLatentAttention = {
    {"self_attn.q_proj.weight", Q},      {"self_attn.q_a_proj.weight", DQ},
    {"self_attn.q_b_proj.weight", UQ},   {"self_attn.kv_a_proj_with_mqa.weight", DKV},
    {"self_attn.kv_b_proj.weight", UKV}, {"self_attn.o_proj.weight", O},
};
const Rows kDeepseek =
    joined(joined(kLatentAttention, kQwenExperts), {
                                                       {"mlp.gate_proj.weight", Gate},
                                                       {"mlp.up_proj.weight", Up},
                                                       {"mlp.down_proj.weight", Down},
                                                       {"mlp.shared_experts.gate_proj.weight", SharedGate},
                                                       {"mlp.shared_experts.up_proj.weight", SharedUp},
                                                       {"mlp.shared_experts.down_proj.weight", SharedDown},
                                                   });
const Rows kMixtral = joined(joined(kAttention,
                                    {
                                        {"block_sparse_moe.gate.weight", Router},
                                        {"mlp.gate.weight", Router},
                                        {"block_sparse_moe.experts.{}.w1.weight", Gate, {}, Expert},
                                        {"block_sparse_moe.experts.{}.w3.weight", Up, {}, Expert},
                                        {"block_sparse_moe.experts.{}.w2.weight", Down, {}, Expert},
                                    }),
                             kStackedExperts);
const Rows kLlama4 =
    joined(kAttention, {
                           {"feed_forward.gate_proj.weight", Gate},
                           {"feed_forward.up_proj.weight", Up},
                           {"feed_forward.down_proj.weight", Down},
                           {"feed_forward.experts.gate_up_proj", GateUp, {Gate, Up}, ExpertsTransposed},
                           {"feed_forward.experts.down_proj", Down, {}, ExpertsTransposed},
                           {"feed_forward.router.weight", Router},
                           {"feed_forward.shared_expert.gate_proj.weight", SharedGate},
                           {"feed_forward.shared_expert.up_proj.weight", SharedUp},
                           {"feed_forward.shared_expert.down_proj.weight", SharedDown},
                       });
const Rows kGptOss = joined(kAttention, {
                                            {"mlp.experts.gate_up_proj", GateUp, {Gate, Up}, ExpertsInTurns},
                                            {"mlp.experts.down_proj", Down, {}, ExpertsTransposed},
                                            {"mlp.router.weight", Router},
                                        });

constexpr Width kMoeIntermediateSize = {"moe_intermediate_size", &ModelConfig::moe_intermediate_size};
constexpr Width kIntermediateSizeMlp = {"intermediate_size_mlp", &ModelConfig::intermediate_size_mlp};

const Architecture kTable[] = {
    {"llama", kLlama},
    {"mistral", kLlama},
    {"qwen2", kLlama},
    {"qwen3", kLlama, 0, 0, 128},
    {"gemma", kLlama, 0, 0, 256},
    {"gemma2", kLlama, 0, 0, 256},
    {"gemma3_text", kLlama, 8, 4, 256},
    {"phi3", kPhi3},
    {"qwen2_moe", kQwen2Moe, 0, 0, 0, true, kIntermediateSize, kMoeIntermediateSize},
    {"qwen3_moe", kQwenMoe, 0, 0, 0, true, kIntermediateSize, kMoeIntermediateSize},
    {"olmoe", kQwenMoe, 0, 0, 0, true},
    {"mixtral", kMixtral, 0, 0, 0, true},
    {"llama4_text", kLlama4, 0, 0, 128, true, kIntermediateSizeMlp, kIntermediateSize},
    {"gpt_oss", kGptOss, 0, 0, 64, true},
    {"deepseek_v2", kDeepseek, 0, 0, 0, true, kIntermediateSize, kMoeIntermediateSize},
    {"deepseek_v3", kDeepseek, 0, 0, 0, true, kIntermediateSize, kMoeIntermediateSize},
};

// As transformers' configurations have them: of a wrapper the text half that it takes where config.json names none.
constexpr std::pair<std::string_view, std::string_view> kLanguageTypes[] = {
    {"gemma3", "gemma3_text"},  {"idefics3", "llama"},          {"internvl", "qwen2"},
    {"kimi_k2", "deepseek_v3"}, {"llama4", "llama4_text"},      {"llava", "llama"},
    {"llava_next", "llama"},    {"mistral3", "mistral"},        {"paligemma", "gemma"},
    {"qwen2_5_omni", "qwen2"},  {"qwen2_5_omni_text", "qwen2"}, {"qwen2_5_omni_thinker", "qwen2"},
    {"qwen2_5_vl", "qwen2"},    {"qwen2_5_vl_text", "qwen2"},   {"qwen2_vl", "qwen2"},
    {"qwen2_vl_text", "qwen2"}, {"qwen3_vl", "qwen3"},          {"qwen3_vl_text", "qwen3"},
    {"smolvlm", "llama"},
};

}  // namespace

std::span<const Architecture> architectures() {
  return kTable;
}

const std::vector<TensorRow>& llama_rows() {
  return kLlama;
}

std::string_view language_type(std::string_view model_type) {
  const auto* found = std::find_if(std::begin(kLanguageTypes), std::end(kLanguageTypes),
                                   [&](const auto& pair) { return pair.first == model_type; });
  return found == std::end(kLanguageTypes) ? model_type : found->second;
}

const Architecture* find_architecture(const ModelConfig& config) {
  const std::string_view type = language_type(config.model_type);
  const auto* row =
      std::find_if(std::begin(kTable), std::end(kTable), [&](const Architecture& a) { return a.model_type == type; });
  return row == std::end(kTable) ? nullptr : row;
}

}  // namespace gyro
