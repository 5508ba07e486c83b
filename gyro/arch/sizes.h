#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "gyro/arch/arch.h"
#include "gyro/arch/table.h"

namespace gyro {

/// d_out and d_in of W.
struct Shape {
  int64_t rows = 0;
  int64_t cols = 0;
};

/// What the shapes of a layer's matrices are made of. 0: neither config.json nor a tensor's shape tells it.
struct Extents {
  int64_t hidden = 0;
  int64_t q = 0, kv = 0, attended = 0;  ///< rows of W_Q (of latent attention: of W_UQ) and W_K, columns of W_O
  int64_t mlp = 0, shared = 0;          ///< inner widths
  int64_t experts = 0;
  int64_t q_rank = 0, kv_rank = 0, down_kv = 0, up_kv = 0;  ///< columns of W_UQ and W_UKV, rows of W_DKV and W_UKV
};

/// The shape of W; what is not told of it is 0.
Shape shape_of(const Extents& extents, MatrixType type);

/// What is known of a model's sizes: config.json, the defaults of its architecture, and where neither says anything
/// the shapes of its tensors.
struct ModelSizes {
  ModelConfig config;        ///< with those sizes; heads and head_dim stay 0 where they cannot be told
  Extents dense, expert;     ///< of the two kinds of layers
  bool low_rank_q = false;   ///< latent attention that makes its queries of W_DQ and W_UQ in place of W_Q
  bool shared_told = false;  ///< config.json says that layers with experts have one that is shared
  bool from_shapes = false;  ///< some size is from a tensor's shape
};

/// The architecture by which a model is read: the table's, or that of unknown model types, which is Llama's with
/// another name.
const Architecture& architecture_of(const ModelConfig& config);

/// What the names of its layers' tensors start with, up to their numbers: "model.layers."; nothing where there are
/// none.
std::optional<std::string> layers_prefix(const TensorSource& checkpoint, const Architecture& row);
/// Those that it may be, for messages.
std::string layers_prefixes(const Architecture& row);
/// What does stand before a number 0 in tensors' names, that of most tensors first: "\"foo.layers.\""; for messages
/// too.
std::string numbered_prefixes(const TensorSource& checkpoint);

/// The name of a row's tensor.
std::string row_tensor(const std::string& prefix, const TensorRow& row, int64_t layer, int64_t expert);

/// Throws Error naming config.json when sizes contradict each other.
ModelSizes known_sizes(const TensorSource& checkpoint);

}  // namespace gyro
