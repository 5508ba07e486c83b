#pragma once

#include <cstdint>
#include <vector>

namespace gyro {

/// How n values are drawn as at most `limit` points: bin b holds the values [edges[b], edges[b+1]). Log-spaced, so that
/// the first values stand alone on a logarithmic axis; every value alone when n ≤ limit. edges has one more entry than
/// there are bins; no bin is empty.
std::vector<int64_t> log_bins(int64_t n, int64_t limit);
/// The same with bins of equal width (give or take one).
std::vector<int64_t> even_bins(int64_t n, int64_t limit);

/// The mean of each bin, over its finite values; NaN if it has none.
std::vector<float> bin_means(const std::vector<double>& values, const std::vector<int64_t>& edges);

/// What a structureless change W_p = c W_b + E of the same size turns each singular vector by: the expected
/// 1 − (u_b,j·u_p,j)² on the short and on the long side. First order in each pair of directions,
/// s²(σ_j² + σ_i²)/(σ_j² − σ_i²)², saturating at one half for pairs that E mixes wholly:
/// f/(1 + 2f); the long side also leaks (m − n) s²/σ_j² out of base's span. At most 1.
struct TurnNull {
  std::vector<double> short_side;
  std::vector<double> long_side;
};
/// `sigma` of the base (descending, n values), m the long side's length, s = ‖E‖_F / (|c| √(mn)).
TurnNull turn_null(const std::vector<double>& sigma, int64_t m, double s);

}  // namespace gyro
