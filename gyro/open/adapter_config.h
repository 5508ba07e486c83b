#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gyro/open/pattern.h"

namespace gyro {

/// What an adapter_config.json of PEFT says of a LoRA: all that what it makes of its base depends on.
struct LoraConfig {
  std::string base, revision;  ///< base_model_name_or_path and its revision; empty: not said
  int64_t rank = 8;
  double alpha = 8;
  bool use_rslora = false, use_dora = false, fan_in_fan_out = false, lora_bias = false;
  std::vector<std::pair<std::string, int64_t>> rank_pattern;  ///< in the file's order: the first that matches counts
  std::vector<std::pair<std::string, double>> alpha_pattern;
  std::vector<std::string> modules_to_save;                ///< last parts of module names, or whole ones
  std::optional<std::vector<std::string>> target_modules;  ///< nothing: an expression, or not said

  struct Share {
    int64_t rank = 0;
    double scaling = 0;  ///< alpha / rank, or alpha / √rank of rank-stabilised LoRA
  };
  /// Of a module by its name in the model ("model.layers.0.mlp.up_proj"), by PEFT's rule for its patterns.
  Share share_of(std::string_view module) const;

  std::vector<ModulePattern> rank_keys, alpha_keys;  ///< those of the patterns
};

/// Parses an adapter_config.json. Throws Error naming `subject` and the field for what is not JSON or wrongly typed,
/// and for all that is not a LoRA whose effect is W + s B A, DoRA's rescaling of it, a bias or a whole tensor: other
/// types of adapter, starting points that change the base (PiSSA, OLoRA, LoftQ, ...), replicated layers, trainable
/// tokens, adapted parameters, fields that are not known, patterns beyond 50,000 keys or 200,000 steps.
LoraConfig parse_lora_config(std::string_view subject, std::string_view text);

}  // namespace gyro
