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
// Bootstraps: as many as take a second or so, for p values that stand adjusting for many variants.
constexpr size_t kFewestBootstraps = 10'000, kMostBootstraps = 100'000, kDraws = 100'000'000;
constexpr int64_t kLeastDiscordant = 6;  // 2^-5 < 0.05: fewer never are significant
constexpr size_t kLeastClusters = 10;    // fewer tell no variance

double mean(std::span<const double> values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

bool whole(std::span<const double> shares) {
  return std::ranges::all_of(shares, [](double share) { return share == 0 || share == 1; });
}

void by_mcnemar(std::span<const double> a, std::span<const double> b, PairedDifference& out) {
  const auto n = static_cast<double>(a.size());
  int64_t only_a = 0, only_b = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    only_a += a[i] > b[i];
    only_b += b[i] > a[i];
  }
  out.test = "mcnemar";
  out.p = mcnemar(only_a, only_b);
  const double x = static_cast<double>(only_a) + 0.5, y = static_cast<double>(only_b) + 0.5, total = n + 2;
  const double centre = (x - y) / total, error = std::sqrt(x + y - (x - y) * (x - y) / total) / total;
  out.interval = {std::max(-1.0, centre - kZ * error), std::min(1.0, centre + kZ * error)};
  out.detectable = std::min(1.0, std::max((kZ + kPower) * error, static_cast<double>(kLeastDiscordant) / n));
}

void by_bootstrap(std::span<const double> a, std::span<const double> b, uint64_t seed, PairedDifference& out) {
  const size_t n = a.size(), bootstraps = std::clamp(kDraws / n, kFewestBootstraps, kMostBootstraps);
  std::vector<double> differences(n), means(bootstraps);
  for (size_t i = 0; i < n; ++i) differences[i] = a[i] - b[i];
  Random random(seed);
  size_t below = 0, above = 0;
  for (double& value : means) {
    double sum = 0;
    for (size_t i = 0; i < n; ++i) sum += differences[static_cast<size_t>(random.uniform() * static_cast<double>(n))];
    value = sum / static_cast<double>(n);
    below += value <= 0;
    above += value >= 0;
  }
  std::ranges::sort(means);
  out.test = "bootstrap";
  out.interval = {means[bootstraps / 40], means[bootstraps - 1 - bootstraps / 40]};
  out.p = std::min(1.0, 2.0 * static_cast<double>(std::min(below, above) + 1) / static_cast<double>(bootstraps + 1));
  const double deviation = n > 1 ? sample_deviation(differences) : 0;
  out.detectable = std::min(
      1.0, std::max((kZ + kPower) * deviation / std::sqrt(static_cast<double>(n)), 1 / static_cast<double>(n)));
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

}  // namespace

Interval wilson(double share, double n) {
  const double z2 = kZ * kZ, centre = (share + z2 / (2 * n)) / (1 + z2 / n);
  const double half = kZ / (1 + z2 / n) * std::sqrt(share * (1 - share) / n + z2 / (4 * n * n));
  return {share == 0 ? 0 : std::max(0.0, centre - half), share == 1 ? 1 : std::min(1.0, centre + half)};
}

double mcnemar(int64_t b, int64_t c) {
  const int64_t n = b + c, few = std::min(b, c);
  double tail = 0;
  for (int64_t i = 0; i <= few; ++i) {
    const auto x = static_cast<double>(i), total = static_cast<double>(n);
    tail += std::exp(std::lgamma(total + 1) - std::lgamma(x + 1) - std::lgamma(total - x + 1) - total * std::log(2.0));
  }
  return std::min(1.0, 2 * tail);
}

PairedDifference compare_paired(std::span<const double> a, std::span<const double> b, uint64_t seed) {
  PairedDifference out;
  out.difference = mean(a) - mean(b);
  if (whole(a) && whole(b)) {
    by_mcnemar(a, b, out);
  } else {
    by_bootstrap(a, b, seed, out);
  }
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

}  // namespace gyro
