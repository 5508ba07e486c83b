#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace gyro {

class JsonFields;

/// What Gyro reads of config.json. Fields that the file lacks keep the defaults; `complete_config` in the arch room
/// fills in what an architecture implies and says what is missing. Sizes are found under the names that architectures
/// have for them (n_embd, num_layers, ffn_dim, ...) where the usual one is absent. Of several models in one it is the
/// one of text: see config_sections.
struct ModelConfig {
  std::string architecture;  ///< architectures[0], may be empty
  std::string model_type;    ///< that of the innermost section that has one
  int64_t hidden_size = 0;
  int64_t intermediate_size = 0;
  int64_t num_hidden_layers = 0;
  int64_t num_attention_heads = 0;
  int64_t num_key_value_heads = 0;          ///< defaults to num_attention_heads
  int64_t head_dim = 0;                     ///< defaults to hidden_size / num_attention_heads
  bool kv_heads_given = false;              ///< whether the file has num_key_value_heads, and
  bool head_dim_given = false;              ///< head_dim: some architectures have other defaults (see arch/arch.h)
  bool multi_query = true;                  ///< falcon: one KV head, unless
  bool new_decoder_architecture = false;    ///< the number of KV heads is to be heeded
  std::optional<bool> tie_word_embeddings;  ///< nothing where the file is silent: see is_tied
  int64_t q_lora_rank = 0;  ///< DeepSeek's latent attention: ranks of queries (0: none, or absent), of keys and values,
  int64_t kv_lora_rank = 0;
  int64_t qk_nope_head_dim = 0;  ///< and of a head's parts without and with rotation, and of its values
  int64_t qk_rope_head_dim = 0;
  int64_t v_head_dim = 0;
  int64_t num_experts = 0;            ///< of a layer with experts: num_experts, num_local_experts, n_routed_experts
  int64_t moe_intermediate_size = 0;  ///< inner width of an expert, where it is not intermediate_size
  int64_t n_shared_experts = 0;       ///< deepseek: how many experts wide the shared one is
  int64_t shared_expert_intermediate_size = 0;   ///< qwen2_moe
  int64_t intermediate_size_mlp = 0;             ///< llama4: of its dense layers
  int64_t expert_layer_step = 1;                 ///< decoder_sparse_step or interleave_moe_layer_step, above 0
  int64_t moe_layer_freq = 1;                    ///< deepseek: layers that are multiples of it have experts, above 0
  std::optional<int64_t> first_k_dense_replace;  ///< deepseek: but not the first of that number
  std::set<int64_t> mlp_only_layers;             ///< dense layers in spite of the step
  std::optional<std::set<int64_t>> moe_layers;   ///< llama4: the layers with experts, in place of the step
  int64_t fp8_block_rows = 0;                    ///< quantization_config.weight_block_size, 0 when absent
  int64_t fp8_block_cols = 0;
  std::string quantization;  ///< quantization_config.quant_method, empty when absent
  bool quantized = false;    ///< whether there is a quantization_config

  /// Whether a mixture has experts in that layer, by its own rule; whether it is one, the architecture says.
  bool has_experts(int64_t layer) const {
    if (moe_layers) return moe_layers->contains(layer);
    return (layer + 1) % expert_layer_step == 0 && layer % moe_layer_freq == 0 &&
           layer >= first_k_dense_replace.value_or(0) && !mlp_only_layers.contains(layer);
  }
};

/// The keys under which config.json of several models in one has the language model's section, "text_config" first.
std::span<const std::string_view> language_section_names();
/// The file's own object, and within it the language model's section, and within that again; the innermost last. At
/// most three of them.
std::vector<JsonFields> config_sections(const JsonFields& top);

/// Parses the text of a config.json. Throws Error naming `subject` for what is not JSON, wrongly typed, negative,
/// nested too deep, or contradicts itself (heads not divisible by KV heads, more than 100,000 layers, ...).
ModelConfig parse_config(std::string_view subject, std::string_view text);

}  // namespace gyro
