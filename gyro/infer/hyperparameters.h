#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "gyro/checkpoint/source.h"

namespace gyro {

/// How positions beyond those a model was first trained on are rotated (config.json's rope_scaling, or
/// rope_parameters).
struct RopeScaling {
  enum class Kind { None, Linear, Llama3, Yarn };
  Kind kind = Kind::None;
  double factor = 1;
  double low_freq_factor = 1, high_freq_factor = 4;  ///< Llama3
  double beta_fast = 32, beta_slow = 1;              ///< Yarn
  std::optional<double> attention_factor;            ///< Yarn: 0.1 ln(factor) + 1 if not given
  int64_t original_context = 0;                      ///< Llama3 and Yarn: positions before scaling

  bool operator==(const RopeScaling&) const = default;
};

/// What runs a model besides its weights: config.json with what transformers supplies where it is silent.
struct Hyperparameters {
  ModelConfig sizes;
  int64_t context = 0;  ///< positions: max_position_embeddings
  double norm_epsilon = 1e-6;
  double rope_theta = 10000;
  double local_rope_theta = 10000;  ///< gemma3: of layers with a sliding window, which are not scaled
  RopeScaling rope;
  int64_t rope_dimensions = 0;  ///< of each head: head_dim but for partial_rotary_factor
  int64_t window = 0;           ///< positions that a sliding layer sees, its own included; 0: none slides
  std::vector<bool> sliding;    ///< by layer
  double attention_soft_cap = 0, logit_soft_cap = 0;  ///< 0: none
  double query_scalar = 0;                            ///< scores are divided by its root
  int64_t experts_used = 0;
  bool normalise_experts = false;  ///< the chosen experts' weights sum to 1
  bool tied = false;               ///< the output is the embedding (tie_word_embeddings)
  std::string activation;          ///< "silu", "gelu_pytorch_tanh", ...
};

/// Whether the same weights give the same under both: all but the sizes and how long a context may be.
bool same_arithmetic(const Hyperparameters& a, const Hyperparameters& b);

/// Reads the config.json of `source`. Throws Error naming it for what is missing, wrongly typed, or not run by this
/// engine (a kind of rope_scaling other than those above).
Hyperparameters read_hyperparameters(const TensorSource& source);

}  // namespace gyro
