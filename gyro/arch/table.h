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
  Columns,            ///< [d_in, d_out] (GPT-2's Conv1D); columns of a fused tensor's parts follow each other
  Groups,             ///< [KV heads, heads / KV heads + 2, head_dim, d_in]: of each KV head its queries, key and value
  Expert,             ///< the same, a tensor for each expert: {} in its name stands for the expert's number
  Experts,            ///< [experts, d_out, d_in]: all experts of a layer, each as Matrix
  ExpertsTransposed,  ///< [experts, d_in, d_out]; columns of a fused tensor's parts follow each other
  ExpertsInTurns,     ///< the same, but columns of the parts take turns
};

/// Whether the layout is of experts, has all of them in one tensor, and has W's rows as columns.
constexpr bool is_of_experts(Layout layout) {
  return layout >= Layout::Expert;
}
constexpr bool is_stacked(Layout layout) {
  return layout > Layout::Expert;
}
constexpr bool is_transposed(Layout layout) {
  return layout == Layout::Columns || layout > Layout::Experts;
}

/// A tensor that a layer may have. A checkpoint has a fused tensor or its parts, each as a tensor of its own; and
/// experts in one of the layouts for them.
struct TensorRow {
  std::string_view name;  ///< after the layer's prefix
  MatrixType type;
  std::vector<MatrixType> parts = {};  ///< of a fused tensor, in their order
  Layout layout = Layout::Matrix;
};

/// A size of config.json: an MLP's inner width is the number there divided by `divisor`, and `of_hidden` times
/// hidden_size where it is left out (0: it must be there).
struct Width {
  std::string_view key;
  int64_t ModelConfig::*size;
  int64_t of_hidden = 0;
  int64_t divisor = 1;
};
inline constexpr Width kIntermediateSize = {"intermediate_size", &ModelConfig::intermediate_size};
inline constexpr std::string_view kUsualLayers = "model.layers.";

/// What says how many KV heads there are.
enum class KvHeads : int64_t {  // as wide as what stands beside it in Architecture
  Usual,       ///< num_key_value_heads or an alias of it; as many as heads, or the table's number, where it is left out
  Given,       ///< the same, and a config that leaves it out means another layout of the tensors
  MultiQuery,  ///< Falcon's multi_query, unless new_decoder_architecture leaves it to the number
};

/// An architecture: its name in config.json, its tensors, the sizes that hold where config.json leaves them out (0:
/// num_key_value_heads = num_attention_heads, head_dim = hidden_size / num_attention_heads), the inner width of the
/// two kinds of layers, dense ones and, in a mixture, those with experts (ModelConfig::has_experts), and what precedes
/// a layer's number in names ("transformer.h."; a body alone has what follows its first dot). An MLP without a gate has
/// W_up and W_down.
struct Architecture {
  std::string_view model_type;
  const std::vector<TensorRow>& rows;
  int64_t heads = 0, kv_heads = 0, head_dim = 0;
  bool mixture = false;
  Width dense = kIntermediateSize, expert = kIntermediateSize;
  std::string_view layers = kUsualLayers;
  KvHeads kv = KvHeads::Usual;

  bool has_experts(const ModelConfig& config, int64_t layer) const { return mixture && config.has_experts(layer); }
};

/// The architectures that Gyro knows, by name.
std::span<const Architecture> architectures();
/// The rows of Llama's tensors.
const std::vector<TensorRow>& llama_rows();
/// The model type whose language model another is: of multimodal ones, of their text half's own name, and of those
/// that are an architecture under a second name. Any other is itself.
std::string_view language_type(std::string_view model_type);
/// Whether models of that type have their embeddings for an output layer where config.json does not say: the default
/// of their class in transformers.
bool ties_by_default(std::string_view model_type);
/// The row of the config's model_type, or of its language_type; null if there is none.
const Architecture* find_architecture(const ModelConfig& config);

}  // namespace gyro
