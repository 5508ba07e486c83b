#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "gyro/arch/arch.h"
#include "gyro/infer/engine_table.h"

namespace gyro {

/// A tensor as llama.cpp wants it, and where its elements come from.
struct ImageTensor {
  std::string name;            ///< llama.cpp's, "blk.0.attn_q.weight"
  std::vector<int64_t> shape;  ///< row-major, as the checkpoint's; GGUF lists it the other way round
  DType dtype = DType::F32;    ///< F32, F16 or BF16
  /// Tensors of the checkpoint, or matrices of it, whose rows make this one's in their order.
  std::vector<std::string> tensors = {};
  std::vector<MatrixSite> sites = {};
  std::vector<float> values = {};  ///< where it comes from neither: its elements, or the one value of them all
  int64_t heads = 0;               ///< rows are of so many heads and permuted within each: see rotated_row
  int64_t rotated = 0;             ///< of each head, how many of its first dimensions are
  double added = 0;                ///< to each element

  int64_t columns() const { return shape.back(); }
  uint64_t byte_size() const;
};

/// A model for llama.cpp: what it is, and its tensors in their order.
struct ImagePlan {
  const EngineArchitecture* architecture = nullptr;
  Hyperparameters parameters;
  int64_t vocabulary = 0;    ///< rows of the embedding
  int64_t dense_layers = 0;  ///< of a mixture, the layers without experts, which come first
  std::vector<ImageTensor> tensors;
};

/// Lays out the model of `source`, matrices and embeddings as `dtype` (F32, F16, BF16; the checkpoint's own if not
/// given, BF16 for FP8), everything else as F32. Reads headers only, but for an output beside
/// an embedding that is said to be it: whether it is. Throws Error naming what is missing, does not fit,
/// or is not run by this engine, such as a tensor of a layer that no row of the table knows.
ImagePlan plan_image(const TensorSource& source, std::optional<DType> dtype);

/// Row `row` (within a head) of a tensor with neighbouring pairs is row rotated_row of the checkpoint's, which pairs i
/// and i + rotated / 2.
int64_t rotated_row(int64_t row, int64_t rotated);

/// Takes bytes of a tensor, which begin at byte `offset` of it; the pieces of a tensor come in order.
using TensorSink = std::function<void(const ImageTensor& tensor, uint64_t offset, std::span<const std::byte> bytes)>;

/// Hands the elements of a tensor of the plan of `source` to `sink`, by some megabytes at a time. Throws Error naming
/// what cannot be read.
void stream_tensor(const TensorSource& source, const ImageTensor& tensor, const TensorSink& sink);

}  // namespace gyro
