#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>

namespace gyro {

/// What Gyro reads of config.json. Fields that the file lacks keep the defaults; `complete_config` in the arch room
/// fills in what an architecture implies and says what is missing. Sizes are found under the names that architectures
/// have for them (n_embd, num_layers, ffn_dim, ...) where the usual one is absent. Nested `text_config` (gemma3,
/// multimodal) is looked through.
struct ModelConfig {
  std::string architecture;  ///< architectures[0], may be empty
  std::string model_type;
  int64_t hidden_size = 0;
  int64_t intermediate_size = 0;
  int64_t num_hidden_layers = 0;
  int64_t num_attention_heads = 0;
  int64_t num_key_value_heads = 0;        ///< defaults to num_attention_heads
  int64_t head_dim = 0;                   ///< defaults to hidden_size / num_attention_heads
  bool kv_heads_given = false;            ///< whether the file has num_key_value_heads, and
  bool head_dim_given = false;            ///< head_dim: some architectures have other defaults (see arch/arch.h)
  bool multi_query = true;                ///< falcon: one KV head, unless
  bool new_decoder_architecture = false;  ///< the number of KV heads is to be heeded
  bool tie_word_embeddings = false;
  int64_t num_experts = 0;                      ///< of a layer with experts: num_experts, or num_local_experts
  int64_t moe_intermediate_size = 0;            ///< inner width of an expert, where it is not intermediate_size
  int64_t intermediate_size_mlp = 0;            ///< llama4: of its dense layers
  int64_t expert_layer_step = 1;                ///< decoder_sparse_step or interleave_moe_layer_step, above 0
  std::set<int64_t> mlp_only_layers;            ///< dense layers in spite of the step
  std::optional<std::set<int64_t>> moe_layers;  ///< llama4: the layers with experts, in place of the step
  int64_t fp8_block_rows = 0;                   ///< quantization_config.weight_block_size, 0 when absent
  int64_t fp8_block_cols = 0;
  std::string quantization;  ///< quantization_config.quant_method, empty when absent

  /// Whether a mixture has experts in that layer, by its own rule; whether it is one, the architecture says.
  bool has_experts(int64_t layer) const {
    if (moe_layers) return moe_layers->contains(layer);
    return (layer + 1) % expert_layer_step == 0 && !mlp_only_layers.contains(layer);
  }
};

/// Parses the text of a config.json. Throws Error naming `subject` for what is not JSON, wrongly typed, negative,
/// nested too deep, or contradicts itself (heads not divisible by KV heads, more than 100,000 layers, ...).
ModelConfig parse_config(std::string_view subject, std::string_view text);

}  // namespace gyro
