#pragma once

#include <cstdint>
#include <limits>
#include <numbers>
#include <span>
#include <vector>

#include "gyro/probe/attention.h"

namespace gyro {

/// A distribution p and another model's, q, over the same keys. Only log q up to a constant matters: q at temperature T
/// is q_T = softmax(log q / T).
struct TemperatureRow {
  std::vector<double> log_q;
  std::vector<double> p;  ///< sums to 1
  int64_t head = 0;
};

/// Log-probabilities below are taken as this one, that of the smallest normal F32: there a softmax in F32 gives 0 or
/// what has lost its digits, and nothing is known but that it is less.
inline constexpr double kLeastLog = -126 * std::numbers::ln2;

/// The row of two F32 rows over the keys that are seen. `p` is divided by its sum.
TemperatureRow temperature_row(std::span<const float> q, std::span<const float> p, int64_t head);

/// The mean over rows of KL(p ‖ q_T) in nats, and its first two derivatives in β = 1/T. It is convex in β: the second
/// is the mean variance of log q under q_T.
struct TemperatureLoss {
  double value = 0, slope = 0, curvature = 0;
};
TemperatureLoss temperature_loss(std::span<const TemperatureRow> rows, double beta);

/// What of the difference between q and p a temperature explains. NaN is undefined.
struct TemperatureFit {
  double temperature = std::numeric_limits<double>::quiet_NaN();  ///< T > 0 of the least loss; NaN where none is least
  double temperature_se = std::numeric_limits<double>::quiet_NaN();
  double kl = 0;  ///< at T = 1
  double kl_fitted = std::numeric_limits<double>::quiet_NaN();
  double explained = std::numeric_limits<double>::quiet_NaN();    ///< 1 − kl_fitted/kl; NaN for a kl below kLeastKl
  double kl_expected = std::numeric_limits<double>::quiet_NaN();  ///< at the temperature that was expected, if one was
  int64_t underflows = 0;                                         ///< log-probabilities taken as kLeastLog
};

/// Logits of a model in F32 are right to about 2e-5 (EngineOptions::dtype); log-probabilities that are off by so much
/// make a KL of up to (2e-5)²/2 = 2e-10. A difference is told from that above five times as much.
inline constexpr double kLeastKl = 1e-9;

/// Fits T by Newton's method in β, within a bracket that bisection narrows where it leaves it; β is right to 1e-12 of
/// itself. No T is least where even the uniform distribution is as near (β ≤ 0), or q's largest key at any β (β above
/// 1e6). The standard error is a sandwich estimate with the heads as clusters, whose temperatures need not be one; it
/// needs two heads and says nothing of other heads than these. `rows` is not empty; `expected` may be NaN.
TemperatureFit fit_temperature(std::span<const TemperatureRow> rows,
                               double expected = std::numeric_limits<double>::quiet_NaN());

/// A block of a model against the same block of another, over all questions: all heads by one temperature, and each
/// head by its own.
struct BlockFit {
  TemperatureFit all;
  std::vector<TemperatureFit> heads;
};

/// Fits what `q` needs to be like `p`: rows of the same questions, one each, of the same blocks, heads and positions.
/// `keys` are how many of the last positions are seen of each question; `block` counts in the rows' blocks; `expected`
/// is a temperature of all heads, or NaN.
BlockFit fit_block(std::span<const LastRows> q, std::span<const LastRows> p, std::span<const int64_t> keys,
                   size_t block, double expected = std::numeric_limits<double>::quiet_NaN());

}  // namespace gyro
