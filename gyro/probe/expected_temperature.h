#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "gyro/base/run_options.h"
#include "gyro/checkpoint/source.h"

namespace gyro {

/// What App. G.1 expects of a block. With W_post ≈ α W′, W′ having the base's singular values, the post's scores are
/// α_Q α_K times those of W′: attention of the replaced model (eq. 14) is the post's at T = 1/(α_Q α_K).
struct ExpectedTemperature {
  int64_t block = 0;
  double alpha_q = std::numeric_limits<double>::quiet_NaN();  ///< mean α of W_Q, as `gyro diff` has it
  double alpha_k = std::numeric_limits<double>::quiet_NaN();
  double expected = std::numeric_limits<double>::quiet_NaN();  ///< NaN where the reading does not apply
  std::string why;  ///< why it does not, or what else there is to the scores; empty for nothing
};

/// That of some blocks, by a diff of their W_Q and W_K. Heads' norms of q and k (qwen3) divide every scale out, so that
/// the reading does not apply; a bias of q or k (qwen2) keeps its size, and a cap on scores (gemma2) bends them, so
/// that it is of a part of the scores. RoPE scales nothing. Throws Error as run_diff does, Stopped where `run.stop`
/// ended it.
std::vector<ExpectedTemperature> expected_temperatures(const std::shared_ptr<const TensorSource>& base,
                                                       const std::shared_ptr<const TensorSource>& post,
                                                       const std::vector<int64_t>& blocks, const RunOptions& run);

}  // namespace gyro
