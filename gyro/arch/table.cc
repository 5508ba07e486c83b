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

const Rows kLlamaMlp = {
    {"mlp.gate_proj.weight", Gate},
    {"mlp.up_proj.weight", Up},
    {"mlp.down_proj.weight", Down},
};
const Rows kGlm = joined(kAttention, {
                                         {"mlp.gate_up_proj.weight", GateUp, {Gate, Up}},
                                         {"mlp.down_proj.weight", Down},
                                     });
const Rows kChatGlm = {
    {"self_attention.query_key_value.weight", QKV, {Q, K, V}},
    {"self_attention.dense.weight", O},
    {"mlp.dense_h_to_4h.weight", GateUp, {Gate, Up}},
    {"mlp.dense_4h_to_h.weight", Down},
};
const Rows kBaichuan = joined(kLlamaMlp, {
                                             {"self_attn.W_pack.weight", QKV, {Q, K, V}},
                                             {"self_attn.o_proj.weight", O},
                                         });
const Rows kInternLm2 = {
    {"attention.wqkv.weight", QKV, {Q, K, V}, Groups},
    {"attention.wo.weight", O},
    {"feed_forward.w1.weight", Gate},
    {"feed_forward.w3.weight", Up},
    {"feed_forward.w2.weight", Down},
};
// Qwen's MLP is w1(x) silu(w2(x)).
const Rows kQwen = {
    {"attn.c_attn.weight", QKV, {Q, K, V}},
    {"attn.c_proj.weight", O},
    {"mlp.w2.weight", Gate},
    {"mlp.w1.weight", Up},
    {"mlp.c_proj.weight", Down},
};
const Rows kExaone = {
    {"attn.attention.q_proj.weight", Q},   {"attn.attention.k_proj.weight", K}, {"attn.attention.v_proj.weight", V},
    {"attn.attention.out_proj.weight", O}, {"mlp.c_fc_0.weight", Gate},         {"mlp.c_fc_1.weight", Up},
    {"mlp.c_proj.weight", Down},
};
const Rows kStarcoder2 = joined(kAttention, {
                                                {"mlp.c_fc.weight", Up},
                                                {"mlp.c_proj.weight", Down},
                                            });
const Rows kPhi = {
    {"self_attn.q_proj.weight", Q}, {"self_attn.k_proj.weight", K}, {"self_attn.v_proj.weight", V},
    {"self_attn.dense.weight", O},  {"mlp.fc1.weight", Up},         {"mlp.fc2.weight", Down},
};
const Rows kOpt = {
    {"self_attn.q_proj.weight", Q},
    {"self_attn.k_proj.weight", K},
    {"self_attn.v_proj.weight", V},
    {"self_attn.out_proj.weight", O},
    {"fc1.weight", Up},
    {"fc2.weight", Down},
};
const Rows kGpt2 = {
    {"attn.c_attn.weight", QKV, {Q, K, V}, Columns},
    {"attn.c_proj.weight", O, {}, Columns},
    {"mlp.c_fc.weight", Up, {}, Columns},
    {"mlp.c_proj.weight", Down, {}, Columns},
};
const Rows kGptJ = {
    {"attn.q_proj.weight", Q},   {"attn.k_proj.weight", K}, {"attn.v_proj.weight", V},
    {"attn.out_proj.weight", O}, {"mlp.fc_in.weight", Up},  {"mlp.fc_out.weight", Down},
};
const Rows kMlpOf4h = {
    {"mlp.dense_h_to_4h.weight", Up},
    {"mlp.dense_4h_to_h.weight", Down},
};
const Rows kGptNeox = joined(kMlpOf4h, {
                                           {"attention.query_key_value.weight", QKV, {Q, K, V}, Groups},
                                           {"attention.dense.weight", O},
                                       });
const Rows kFalcon = joined(kMlpOf4h, {
                                          {"self_attention.query_key_value.weight", QKV, {Q, K, V}, Groups},
                                          {"self_attention.dense.weight", O},
                                      });
const Rows kMpt = {
    {"attn.Wqkv.weight", QKV, {Q, K, V}},
    {"attn.out_proj.weight", O},
    {"ffn.up_proj.weight", Up},
    {"ffn.down_proj.weight", Down},
};

constexpr Width kMoeIntermediateSize = {"moe_intermediate_size", &ModelConfig::moe_intermediate_size};
constexpr Width kIntermediateSizeMlp = {"intermediate_size_mlp", &ModelConfig::intermediate_size_mlp};
constexpr Width kFourTimesHidden = {"intermediate_size", &ModelConfig::intermediate_size, 4};
constexpr Width kHalfOfIntermediate = {"intermediate_size", &ModelConfig::intermediate_size, 0, 2};

const Architecture kTable[] = {
    {"llama", kLlama},
    {"mistral", kLlama},
    {"qwen2", kLlama},
    {"qwen3", kLlama, 0, 0, 128},
    {"gemma", kLlama, 0, 0, 256},
    {"gemma2", kLlama, 0, 0, 256},
    {"gemma3_text", kLlama, 8, 4, 256},
    {"phi3", kPhi3},
    {"internlm", kLlama},
    {"olmo", kLlama},
    {"olmo2", kLlama},
    {"cohere", kLlama},
    {"cohere2", kLlama},
    {"granite", kLlama},
    {"stablelm", kLlama, 0, 32},
    {"smollm3", kLlama, 0, 4},
    {"exaone4", kLlama, 0, 32},
    {"glm", kGlm, 0, 2, 128},
    {"glm4", kGlm, 0, 2, 128},
    {.model_type = "chatglm", .rows = kChatGlm, .layers = "transformer.encoder.layers.", .kv = KvHeads::Given},
    {"baichuan", kBaichuan},
    {"internlm2", kInternLm2},
    {.model_type = "qwen", .rows = kQwen, .dense = kHalfOfIntermediate, .layers = "transformer.h."},
    {.model_type = "exaone", .rows = kExaone, .layers = "transformer.h."},
    {"starcoder2", kStarcoder2, 0, 2},
    {"phi", kPhi},
    {.model_type = "opt", .rows = kOpt, .layers = "model.decoder.layers."},
    {.model_type = "gpt2", .rows = kGpt2, .dense = kFourTimesHidden, .layers = "transformer.h."},
    {.model_type = "gptj", .rows = kGptJ, .dense = kFourTimesHidden, .layers = "transformer.h."},
    {.model_type = "gpt_neox", .rows = kGptNeox, .layers = "gpt_neox.layers."},
    {.model_type = "bloom", .rows = kFalcon, .dense = kFourTimesHidden, .layers = "transformer.h."},
    {.model_type = "falcon",
     .rows = kFalcon,
     .dense = kFourTimesHidden,
     .layers = "transformer.h.",
     .kv = KvHeads::MultiQuery},
    {.model_type = "mpt", .rows = kMpt, .dense = kFourTimesHidden, .layers = "transformer.blocks."},
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

bool ties_by_default(std::string_view model_type) {
  constexpr std::string_view kTied[] = {"bloom",       "cohere", "cohere2", "falcon", "gemma",   "gemma2",
                                        "gemma3_text", "gpt2",   "mpt",     "opt",    "smollm3", "starcoder2"};
  return std::find(std::begin(kTied), std::end(kTied), language_type(model_type)) != std::end(kTied);
}

const Architecture* find_architecture(const ModelConfig& config) {
  const std::string_view type = language_type(config.model_type);
  const auto* row =
      std::find_if(std::begin(kTable), std::end(kTable), [&](const Architecture& a) { return a.model_type == type; });
  return row == std::end(kTable) ? nullptr : row;
}

}  // namespace gyro
