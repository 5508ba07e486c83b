#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "gyro/checkpoint/source.h"
#include "gyro/tensor/matrix.h"

namespace gyro {

/// The logit lens: what a model would say next if a block were its last. Its own final norm and unembedding on the
/// block's output, in FP64 from the weights as stored.
struct Lens {
  std::shared_ptr<const TensorSource> source;
  std::string embedding;     ///< its tensor, a row a token
  std::string unembedding;   ///< that of the output, or the embedding where they are tied
  int64_t vocabulary = 0;    ///< rows
  std::vector<double> norm;  ///< what the normed state is multiplied by; where norms are stored less 1, with it
  double epsilon = 0;
  double soft_cap = 0;  ///< logits are cap tanh(z / cap); 0: none
};

/// Throws Error naming what of the model is missing or not run, as the engine does.
Lens open_lens(std::shared_ptr<const TensorSource> source);

/// Embeddings of the tokens [begin, end), a column each, up to a factor that the architecture may have.
Matrix embeddings(const Lens& lens, int64_t begin, int64_t end);

/// Divides each column (a state of `norm.size()` values) by √(mean of its squares + epsilon) and multiplies it by
/// `norm`.
void apply_norm(const Lens& lens, MatrixView states);

/// Logits of the tokens [begin, end) for normed states, a column each: (end − begin) x columns. Thread-safe. Throws
/// Error naming what cannot be read.
Matrix lens_logits(const Lens& lens, ConstMatrixView normed, int64_t begin, int64_t end);

}  // namespace gyro
