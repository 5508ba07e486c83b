#pragma once

#include <cstdint>
#include <vector>

#include "gyro/diff/result.h"

namespace gyro {

/// How one block's weights changed, its matrices (of fused tensors their parts, each expert of a mixture) pooled as
/// `gyro diff` pools a type's over the layers. NaN where it is not defined, or where the block has none.
struct BlockWeights {
  int64_t matrices = 0;
  double nf_mean = kUndefined, nf_robust_mean = kUndefined;
  double nf_over_null = kUndefined;  ///< ratio of means; NaN where the null holds not of every matrix
  double alpha_mean = kUndefined;
  double relative_change = kUndefined;  ///< mean of ‖W_p − W_b‖/‖W_b‖
  double counter_over_co = kUndefined;  ///< ratio of summed energies
};

/// Of each of the blocks 0 ... layers − 1.
std::vector<BlockWeights> block_weights(const std::vector<MatrixRow>& rows, int64_t layers);

}  // namespace gyro
