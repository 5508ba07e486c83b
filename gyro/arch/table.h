#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "gyro/arch/arch.h"
#include "gyro/checkpoint/config.h"

namespace gyro {

/// How a tensor holds matrices W (d_out x d_in as Hugging Face stores them: a row for each output).
enum class Layout {
  Matrix,             ///< [d_out, d_in]; rows of a fused tensor's parts follow each other
  Expert,             ///< the same, a tensor for each expert: {} in its name stands for the expert's number
  Experts,            ///< [experts, d_out, d_in]: all experts of a layer, each as Matrix
  ExpertsTransposed,  ///< [experts, d_in, d_out]; columns of a fused tensor's parts follow each other
  ExpertsInTurns,     ///< the same, but columns of the parts take turns
};

/// A tensor that a layer may have. A checkpoint has a fused tensor or its parts, each as a tensor of its own; and
/// experts in one of the layouts for them.
struct TensorRow {
  std::string_view name;  ///< after the layer's prefix
  MatrixType type;
  std::vector<MatrixType> parts = {};  ///< of a fused tensor, in their order
  Layout layout = Layout::Matrix;
};

/// A size of config.json.
struct Width {
  std::string_view key;
  int64_t ModelConfig::*size;
};
inline constexpr Width kIntermediateSize = {"intermediate_size", &ModelConfig::intermediate_size};

/// An architecture: its name in config.json, its tensors, the sizes that hold where config.json leaves them out (0:
/// num_key_value_heads = num_attention_heads, head_dim = hidden_size / num_attention_heads), and the inner width of the
/// two kinds of layers, dense ones and, in a mixture, those with experts (ModelConfig::has_experts).
struct Architecture {
  std::string_view model_type;
  const std::vector<TensorRow>& rows;
  int64_t heads = 0, kv_heads = 0, head_dim = 0;
  bool mixture = false;
  Width dense = kIntermediateSize, expert = kIntermediateSize;

  bool has_experts(const ModelConfig& config, int64_t layer) const { return mixture && config.has_experts(layer); }
};

/// The architectures that Gyro knows, by name.
std::span<const Architecture> architectures();
/// The rows of Llama's tensors.
const std::vector<TensorRow>& llama_rows();
/// The model type whose language model another is: of multimodal ones, of their text half's own name, and of those
/// that are an architecture under a second name. Any other is itself.
std::string_view language_type(std::string_view model_type);
/// The row of the config's model_type, or of its language_type; null if there is none.
const Architecture* find_architecture(const ModelConfig& config);

}  // namespace gyro
