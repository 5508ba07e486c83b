#include "gyro/probe/block_weights.h"

namespace gyro {

std::vector<BlockWeights> block_weights(const std::vector<MatrixRow>& rows, int64_t layers) {
  std::vector<BlockWeights> out(static_cast<size_t>(layers));
  for (int64_t layer = 0; layer < layers; ++layer) {
    std::vector<MatrixRow> of_block;
    for (const MatrixRow& row : rows) {
      if (row.layer != layer || !type_counts(row.type)) continue;
      of_block.push_back(row);
      of_block.back().type = MatrixType::Q;  // one pool for all
    }
    if (of_block.empty()) continue;
    const TypeRow pool = pool_types(of_block).front();
    out[static_cast<size_t>(layer)] = {.matrices = static_cast<int64_t>(of_block.size()),
                                       .nf_mean = pool.nf_mean,
                                       .nf_robust_mean = pool.nf_robust_mean,
                                       .nf_over_null = pool.nf_mean_over_null,
                                       .alpha_mean = pool.alpha_mean,
                                       .relative_change = pool.relative_change_mean,
                                       .counter_over_co = pool.counter_over_co};
  }
  return out;
}

}  // namespace gyro
