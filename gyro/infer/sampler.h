#pragma once

#include <cstdint>
#include <span>

namespace gyro {

/// How a token is chosen.
struct SamplerOptions {
  double temperature = 0.2;  ///< 0: the likeliest token; of several equally likely the first
  double top_p = 0.95;       ///< in (0, 1]: of the likeliest tokens, the fewest that have this probability together
  uint64_t seed = 0;
};

/// The token chosen from finite `logits` (one a token of the vocabulary) as the `step`-th of the text that draws the
/// random numbers of `stream`: softmax(logits / temperature) cut at top_p, in FP64. The same arguments give the same
/// token; nothing is remembered from call to call. Throws Error naming `model` for logits that are not numbers.
int32_t sample(std::span<const float> logits, const SamplerOptions& options, uint64_t stream, uint64_t step);

/// log(softmax(logits)[id]), in FP64.
double log_probability(std::span<const float> logits, int32_t id);

}  // namespace gyro
