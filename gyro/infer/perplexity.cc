#include "gyro/infer/perplexity.h"

#include <algorithm>
#include <cmath>

#include "gyro/base/error.h"
#include "gyro/infer/sampler.h"

namespace gyro {
double Perplexity::value() const {
  return std::exp(nll);
}

Perplexity measure_perplexity(Engine& engine, std::span<const int32_t> ids, int64_t context,
                              const std::function<void(int64_t)>& done) {
  const auto count = static_cast<int64_t>(ids.size());
  if (count < 2) fail("text", "has {} tokens; 2 are the least to predict one", count);
  if (context < 2 || context > engine.context()) {
    fail_field("context", "{} tokens are no window of a model with {} positions", context, engine.context());
  }
  Perplexity out{context};
  double sum = 0;
  for (int64_t first = 0; first < count - 1; first += context) {
    const int64_t size = std::min(context, count - first);
    if (size < 2) break;  // one that nothing comes before
    const auto window = ids.subspan(static_cast<size_t>(first), static_cast<size_t>(size));
    engine.forward(window, LogitRows::All, [&](int64_t position, std::span<const float> logits) {
      const auto next = static_cast<size_t>(position + 1);
      if (next < window.size()) sum -= log_probability(logits, window[next]);
    });
    if (!std::isfinite(sum)) fail(ErrorKind::Input, "model", "its logits are not finite numbers");
    out.predicted += size - 1;
    if (done) done(first + size);
  }
  out.nll = sum / static_cast<double>(out.predicted);
  return out;
}

}  // namespace gyro
