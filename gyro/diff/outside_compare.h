#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "gyro/diff/outside.h"
#include "gyro/diff/value_sums.h"

namespace gyro {

/// How two tensors of one place compare: by their values, by their bytes, or not at all, for their shapes.
enum class OutsideForm { Floats, Bytes, Shapes };

/// A pair that both models have, and what its values give.
struct ComparedPair {
  const OutsidePair* pair = nullptr;
  OutsideForm form = OutsideForm::Floats;
  int64_t rows = 0;  ///< that both have
  int64_t base_rows = 0, post_rows = 0;
  ValueSums sums = {};                 ///< of another shape: something that differs
  std::vector<ValueSums> tokens = {};  ///< of floats that have a row for each token: each row's
};

/// Whether a pair has a row for each token. Positions have not, though they are embeddings too.
bool is_by_token(const OutsidePair& pair);

/// Compares each pair that both have, their values read by pieces of rows, on `threads` threads of the processor; the
/// same for any number of them. `outside` is referred to. Nothing if `stop` ended it. Throws Error naming the tensor.
std::optional<std::vector<ComparedPair>> compare_pairs(const TensorSource& base, const TensorSource& post,
                                                       const OutsidePairs& outside, int threads,
                                                       const std::function<bool()>& stop);

}  // namespace gyro
