#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace gyro {

/// What Gyro reads of config.json. Fields that the file lacks keep the defaults; `complete_config` in the arch room
/// fills in what an architecture implies and says what is missing. Nested `text_config` (gemma3, multimodal) is looked
/// through.
struct ModelConfig {
  std::string architecture;  ///< architectures[0], may be empty
  std::string model_type;
  int64_t hidden_size = 0;
  int64_t intermediate_size = 0;
  int64_t num_hidden_layers = 0;
  int64_t num_attention_heads = 0;
  int64_t num_key_value_heads = 0;  ///< defaults to num_attention_heads
  int64_t head_dim = 0;             ///< defaults to hidden_size / num_attention_heads
  bool kv_heads_given = false;      ///< whether the file has num_key_value_heads, and
  bool head_dim_given = false;      ///< head_dim: some architectures have other defaults (see arch/arch.h)
  bool tie_word_embeddings = false;
  int64_t fp8_block_rows = 0;  ///< quantization_config.weight_block_size, 0 when absent
  int64_t fp8_block_cols = 0;
  std::string quantization;  ///< quantization_config.quant_method, empty when absent
};

/// Parses the text of a config.json. Throws Error naming `subject` for what is not JSON, wrongly typed, negative,
/// nested too deep, or contradicts itself (heads not divisible by KV heads, more than 100,000 layers, ...).
ModelConfig parse_config(std::string_view subject, std::string_view text);

}  // namespace gyro
