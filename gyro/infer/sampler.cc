#include "gyro/infer/sampler.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <vector>

#include "gyro/base/error.h"
#include "gyro/base/random.h"

namespace gyro {
namespace {

// exp(-kNegligible) times any vocabulary is below the rounding of a sum.
constexpr double kNegligible = 60;

struct Candidate {
  double weight;
  int32_t token;
  bool operator<(const Candidate& other) const {  // the likeliest first, and of those alike the first
    return weight != other.weight ? weight > other.weight : token < other.token;
  }
};

// NaN if there is one. In lanes, which compilers make vectors of.
float largest(std::span<const float> logits) {
  constexpr size_t kLanes = 16;
  std::array<float, kLanes> most{};
  most.fill(-std::numeric_limits<float>::infinity());
  std::array<int32_t, kLanes> numbers{};
  numbers.fill(1);
  for (size_t i = 0; i < logits.size(); i += kLanes) {
    for (size_t lane = 0; lane < std::min(kLanes, logits.size() - i); ++lane) {
      const float logit = logits[i + lane];
      most[lane] = logit > most[lane] ? logit : most[lane];
      numbers[lane] &= logit == logit ? 1 : 0;
    }
  }
  if (std::ranges::any_of(numbers, [](int32_t number) { return number == 0; })) {
    return std::numeric_limits<float>::quiet_NaN();
  }
  return *std::ranges::max_element(most);
}

// Sorts the beginning of `candidates` as far as their weights make up `wanted`; returns how many those are.
size_t sort_nucleus(std::vector<Candidate>& candidates, double wanted) {
  double sum = 0;
  size_t sorted = 0;
  for (size_t count = 0;; ++count) {
    if (count == candidates.size()) return count;
    if (count == sorted) {
      sorted = std::min(candidates.size(), std::max<size_t>(64, 4 * sorted));
      std::partial_sort(candidates.begin() + static_cast<ptrdiff_t>(count),
                        candidates.begin() + static_cast<ptrdiff_t>(sorted), candidates.end());
    }
    sum += candidates[count].weight;
    if (sum >= wanted) return count + 1;
  }
}

}  // namespace

int32_t sample(std::span<const float> logits, const SamplerOptions& options, uint64_t stream, uint64_t step) {
  const float best = largest(logits);
  if (!std::isfinite(best)) fail(ErrorKind::Input, "model", "its logits are not finite numbers");
  if (options.temperature <= 0) return static_cast<int32_t>(std::ranges::find(logits, best) - logits.begin());
  std::vector<Candidate> candidates;
  double total = 0;
  for (size_t token = 0; token < logits.size(); ++token) {
    const double below = (static_cast<double>(best) - static_cast<double>(logits[token])) / options.temperature;
    if (below > kNegligible) continue;
    candidates.push_back({std::exp(-below), static_cast<int32_t>(token)});
    total += candidates.back().weight;
  }
  const size_t kept = sort_nucleus(candidates, options.top_p * total);
  double nucleus = 0;
  for (size_t i = 0; i < kept; ++i) nucleus += candidates[i].weight;
  Random random(mix64(mix64(mix64(options.seed) ^ stream) ^ step));
  double left = random.uniform() * nucleus;
  for (size_t i = 0; i + 1 < kept; ++i) {
    left -= candidates[i].weight;
    if (left < 0) return candidates[i].token;
  }
  return candidates[kept - 1].token;
}

double log_probability(std::span<const float> logits, int32_t id) {
  const double best = largest(logits);
  double sum = 0;
  for (const float logit : logits) sum += std::exp(static_cast<double>(logit) - best);
  return static_cast<double>(logits[static_cast<size_t>(id)]) - best - std::log(sum);
}

}  // namespace gyro
