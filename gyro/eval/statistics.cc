#include "gyro/eval/statistics.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>

#include "gyro/base/random.h"

namespace gyro {
namespace {

constexpr double kZ = 1.959963984540054;       // 95 %, two-sided
constexpr double kPower = 0.8416212335729143;  // 80 %
constexpr double kLevel = 0.05;
constexpr size_t kEnumerated = 16;  // questions that differ, of which all signs are gone through
constexpr int64_t kDraws = 100'000;
constexpr int kBisections = 60;
constexpr size_t kLeastClusters = 10;  // fewer tell no variance

double mean(std::span<const double> values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

// Where an increasing function of [low, high] reaches a value.
template <typename Function>
double solve(double low, double high, double value, const Function& function) {
  for (int i = 0; i < kBisections; ++i) {
    const double middle = (low + high) / 2;
    (function(middle) < value ? low : high) = middle;
  }
  return high;
}

// P(X >= least) of n questions of which each parts the two with that probability.
double at_least(int64_t least, int64_t n, double probability) {
  double below = 0;
  for (int64_t i = 0; i < least; ++i) {
    const auto x = static_cast<double>(i), total = static_cast<double>(n);
    below += std::exp(std::lgamma(total + 1) - std::lgamma(x + 1) - std::lgamma(total - x + 1) +
                      x * std::log(probability) + (total - x) * std::log1p(-probability));
  }
  return 1 - below;
}

// What a test at `level` finds in four runs of five, if questions' differences vary as the error of their mean says;
// not less than where all that part the two point one way.
double detectable(double error, int64_t n, double level) {
  const int64_t least = static_cast<int64_t>(std::ceil(1 - std::log2(level)));  // 2^(1 - least) <= level
  if (least > n) return std::numeric_limits<double>::quiet_NaN();
  const double z = solve(0, 40, 1 - level / 2, [](double x) { return 1 - std::erfc(x / std::sqrt(2.0)) / 2; });
  const double floor = solve(0, 1, 0.8, [&](double share) { return at_least(least, n, share); });
  return std::min(1.0, std::max((z + kPower) * error, floor));
}

// How many of the ways to give signs to the differences have a sum as far from 0, and of how many.
std::pair<int64_t, int64_t> count_signs(std::span<const int64_t> differences, int64_t sum, uint64_t seed) {
  const size_t n = differences.size();
  const bool all = n <= kEnumerated;
  const int64_t ways = all ? int64_t{1} << n : kDraws;
  Random random(seed);
  int64_t far = 0;
  for (int64_t way = 0; way < ways; ++way) {
    uint64_t signs = static_cast<uint64_t>(way);
    int64_t flipped = 0;
    for (size_t i = 0; i < n; ++i) {
      if (!all && i % 64 == 0) signs = random.bits();
      flipped += (signs >> (i % 64) & 1) != 0 ? differences[i] : -differences[i];
    }
    far += std::abs(flipped) >= std::abs(sum);
  }
  return all ? std::pair(far, ways) : std::pair(far + 1, ways + 1);
}

// The variance of the mean if questions of a subject are alike: cluster sums of the deviations, squared.
double clustered_variance(std::span<const double> shares, std::span<const std::string> subjects, double centre,
                          size_t& clusters) {
  std::map<std::string, double> sums;
  for (size_t i = 0; i < shares.size(); ++i) sums[subjects[i]] += shares[i] - centre;
  clusters = sums.size();
  double variance = 0;
  for (const auto& [subject, sum] : sums) variance += sum * sum;
  const auto n = static_cast<double>(shares.size());
  const auto g = static_cast<double>(clusters);
  return g > 1 ? variance / (n * n) * g / (g - 1) : 0;
}

// Ranks less their mean; NaN for what has one.
std::vector<double> centred_ranks(std::span<const double> values) {
  std::vector<double> out;
  const double middle = (static_cast<double>(values.size()) - 1) / 2;
  for (const double value : values) {
    double below = 0, equal = -1;  // itself
    for (const double other : values) {
      below += other < value ? 1 : 0;
      equal += other == value ? 1 : 0;
    }
    out.push_back(std::isnan(value) ? value : below + equal / 2 - middle);
  }
  return out;
}

}  // namespace

Interval wilson(double share, double n) {
  const double z2 = kZ * kZ, centre = (share + z2 / (2 * n)) / (1 + z2 / n);
  const double half = kZ / (1 + z2 / n) * std::sqrt(share * (1 - share) / n + z2 / (4 * n * n));
  return {share == 0 ? 0 : std::max(0.0, centre - half), share == 1 ? 1 : std::min(1.0, centre + half)};
}

double mcnemar(int64_t b, int64_t c) {
  const int64_t n = b + c, few = std::min(b, c);
  if (std::abs(b - c) <= 1) return 1;
  double tail = 0;
  for (int64_t i = 0; i <= few; ++i) {
    const auto x = static_cast<double>(i), total = static_cast<double>(n);
    tail += std::exp(std::lgamma(total + 1) - std::lgamma(x + 1) - std::lgamma(total - x + 1) - total * std::log(2.0));
  }
  return std::min(1.0, 2 * tail);
}

PairedDifference compare_paired(std::span<const int64_t> a, std::span<const int64_t> b, int64_t repeats,
                                int64_t comparisons, uint64_t seed) {
  std::vector<int64_t> differences;
  int64_t sum = 0, for_a = 0;
  double squares = 0;
  bool whole = true;
  for (size_t i = 0; i < a.size(); ++i) {
    const int64_t difference = a[i] - b[i];
    const double share = static_cast<double>(difference) / static_cast<double>(repeats);
    whole = whole && a[i] % repeats == 0 && b[i] % repeats == 0;
    sum += difference;
    squares += share * share;
    for_a += difference > 0;
    if (difference != 0) differences.push_back(difference);
  }
  PairedDifference out;
  const auto n = static_cast<double>(a.size());
  const double of_shares = static_cast<double>(sum) / static_cast<double>(repeats);
  out.difference = of_shares / n;
  if (whole) {
    out.test = "mcnemar";
    out.p = mcnemar(for_a, static_cast<int64_t>(differences.size()) - for_a);
  } else {
    out.test = "sign-flip";
    const auto [far, ways] = count_signs(differences, sum, seed);
    out.p = static_cast<double>(far) / static_cast<double>(ways);
  }
  const double total = n + 2, centre = of_shares / total;
  const double error = std::sqrt(squares + 1 - of_shares * of_shares / total) / total;
  out.interval = {std::max(-1.0, centre - kZ * error), std::min(1.0, centre + kZ * error)};
  out.detectable = detectable(error, static_cast<int64_t>(a.size()), kLevel / static_cast<double>(comparisons));
  return out;
}

Accuracy accuracy_of(std::span<const double> shares, std::span<const std::string> subjects) {
  Accuracy out;
  out.mean = mean(shares);
  auto n = static_cast<double>(shares.size());
  size_t clusters = 0;
  const double variance = subjects.empty() ? 0 : clustered_variance(shares, subjects, out.mean, clusters);
  if (clusters >= kLeastClusters && clusters < shares.size()) {
    out.clusters = static_cast<int64_t>(clusters);
    if (variance > 0) n = std::min(n, out.mean * (1 - out.mean) / variance);
  }
  out.interval = wilson(out.mean, n);
  return out;
}

double sample_deviation(std::span<const double> values) {
  if (values.size() < 2) return std::numeric_limits<double>::quiet_NaN();
  // From the first value on: of equal ones it is 0, not what their mean is rounded by.
  double sum = 0, squares = 0;
  for (const double value : values) {
    sum += value - values[0];
    squares += (value - values[0]) * (value - values[0]);
  }
  const auto n = static_cast<double>(values.size());
  return std::sqrt(std::max(squares - sum * sum / n, 0.0) / (n - 1));  // in this order max keeps NaN
}

std::vector<double> holm(std::span<const double> p) {
  std::vector<size_t> order(p.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::stable_sort(order, {}, [&](size_t i) { return p[i]; });
  std::vector<double> out(p.size());
  double largest = 0;
  for (size_t rank = 0; rank < order.size(); ++rank) {
    largest = std::max(largest, std::min(1.0, p[order[rank]] * static_cast<double>(p.size() - rank)));
    out[order[rank]] = largest;
  }
  return out;
}

RankCorrelation rank_correlation(std::span<const double> a, std::span<const double> b, uint64_t seed) {
  const std::vector<double> x = centred_ranks(a);
  std::vector<double> y = centred_ranks(b);
  const auto product = [](const std::vector<double>& of, const std::vector<double>& with) {
    return std::inner_product(of.begin(), of.end(), with.begin(), 0.0);
  };
  const double scale = std::sqrt(product(x, x) * product(y, y));
  const double rho = scale > 0 ? product(x, y) / scale : std::numeric_limits<double>::quiet_NaN();
  if (std::isnan(rho)) return {rho, rho};
  Random random(seed);
  int64_t as_large = 1;  // the order that there is
  for (int64_t draw = 1; draw < kDraws; ++draw) {
    for (size_t i = y.size(); i > 1; --i) {
      std::swap(y[i - 1], y[static_cast<size_t>(random.uniform() * static_cast<double>(i))]);
    }
    as_large += std::abs(product(x, y)) >= std::abs(rho) * scale * (1 - 1e-12) ? 1 : 0;
  }
  return {rho, static_cast<double>(as_large) / static_cast<double>(kDraws)};
}

}  // namespace gyro
