#pragma once

#include <optional>
#include <string>
#include <vector>

#include "gyro/arch/arch.h"

namespace gyro {

/// Whether a tensor is called as token embeddings are, and as output layers are, in any of the architectures, whatever
/// stands before that ("model.embed_tokens.weight"; "lm_head.weight", "embed_out.weight").
bool is_embeddings_name(std::string_view name);
bool is_head_name(std::string_view name);

/// Whether the output layer is the embeddings: as config.json says, or where it is silent ties_by_default; of an
/// unknown model type then, whether the model has no output layer of its own.
bool is_tied(const TensorSource& model);

/// Matrices of one type and shape.
struct MatrixGroup {
  MatrixType type = MatrixType::Q;
  int64_t d_out = 0, d_in = 0;
  int64_t count = 0, layers = 0;
  int64_t experts = 0;  ///< most of a layer; 0: they are no experts'
  bool sliced = false;  ///< parts of fused or stacked tensors
  std::string tensor;   ///< that of the first
  std::string dtypes;   ///< "BF16", "F32, BF16"
};

/// What there is in a checkpoint, by names, shapes and config.json: nothing of its weights is read.
struct Inventory {
  std::vector<MatrixGroup> matrices;  ///< in the order of kAllMatrixTypes; fused tensors by their parts
  std::string no_matrices;            ///< why none are known, in place of them
  std::vector<std::string> warnings;
  ModelConfig config;  ///< as complete_config gives it, or where sizes are missing what config.json says
  int64_t tensors = 0, parameters = 0;
  uint64_t bytes = 0;
  int64_t other_tensors = 0, other_parameters = 0;  ///< that are in no matrix: embeddings, norms, biases, ...
  int64_t vocabulary = 0;                           ///< rows of the embeddings, 0 where there are none
  bool tied = false;                                ///< is_tied
  std::string head;  ///< the output layer's tensor; empty where there is none, or it is the embeddings
};
Inventory take_inventory(const TensorSource& source);

}  // namespace gyro
