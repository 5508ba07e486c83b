#include "gyro/arch/table.h"

#include <algorithm>

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
const Rows kQwenMoe = joined(joined(kLlama,
                                    {
                                        {"mlp.experts.{}.gate_proj.weight", Gate, {}, Expert},
                                        {"mlp.experts.{}.up_proj.weight", Up, {}, Expert},
                                        {"mlp.experts.{}.down_proj.weight", Down, {}, Expert},
                                    }),
                             kStackedExperts);
const Rows kMixtral = joined(joined(kAttention,
                                    {
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
                       });
const Rows kGptOss = joined(kAttention, {
                                            {"mlp.experts.gate_up_proj", GateUp, {Gate, Up}, ExpertsInTurns},
                                            {"mlp.experts.down_proj", Down, {}, ExpertsTransposed},
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
    {"gemma3", kLlama, 8, 4, 256},
    {"gemma3_text", kLlama, 8, 4, 256},
    {"phi3", kPhi3},
    {"qwen2_moe", kQwenMoe, 0, 0, 0, true, kIntermediateSize, kMoeIntermediateSize},
    {"qwen3_moe", kQwenMoe, 0, 0, 0, true, kIntermediateSize, kMoeIntermediateSize},
    {"olmoe", kQwenMoe, 0, 0, 0, true},
    {"mixtral", kMixtral, 0, 0, 0, true},
    {"llama4", kLlama4, 0, 0, 128, true, kIntermediateSizeMlp, kIntermediateSize},
    {"llama4_text", kLlama4, 0, 0, 128, true, kIntermediateSizeMlp, kIntermediateSize},
    {"gpt_oss", kGptOss, 0, 0, 64, true},
};

}  // namespace

std::span<const Architecture> architectures() {
  return kTable;
}

const std::vector<TensorRow>& llama_rows() {
  return kLlama;
}

const Architecture* find_architecture(const ModelConfig& config) {
  const auto row = std::find_if(std::begin(kTable), std::end(kTable),
                                [&](const Architecture& a) { return a.model_type == config.model_type; });
  return row == std::end(kTable) ? nullptr : row;
}

}  // namespace gyro
