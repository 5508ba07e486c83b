#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "gyro/infer/engine.h"

namespace gyro {

/// How well a model predicts a text.
struct Perplexity {
  int64_t context = 0;    ///< tokens of a window
  int64_t predicted = 0;  ///< tokens that were predicted from those before them in their window
  double nll = 0;         ///< the mean of their negative log probabilities, in nats

  double value() const;  ///< exp(nll)
};

/// Cuts `ids` into windows of `context` tokens (2 or more; the last may be shorter), which follow each other and share
/// nothing. In each, every token but the first is predicted from all those before it; the mean is over all of them
/// alike. `done`, if given, is told how many tokens are behind. Throws Error: `text` for fewer than 2 tokens, `context`
/// for one that the model does not have.
Perplexity measure_perplexity(Engine& engine, std::span<const int32_t> ids, int64_t context,
                              const std::function<void(int64_t)>& done = {});

}  // namespace gyro
