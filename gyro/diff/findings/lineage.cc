// Whether the two models have to do with each other, and in which order.

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>

#include "gyro/diff/findings/parts.h"
#include "gyro/spectra/moments.h"

namespace gyro::findings {
namespace {

// NF over chance of independent matrices is 1, with a deviation of 1/2n or less. What is far above is turned round,
// which independent matrices are not: −W_b has √2 to 2.
constexpr double kUnrelated = 0.8, kReversed = 1.2;
// A cosine of the weights that independent ones do not have, where the change is too large for NF to see the base.
constexpr double kRelatedCosine = 0.1;
// Traces that rows or columns in another order or of other signs leave, where neither NF nor the cosine sees any.
constexpr double kSameSubspace = 0.5;  // overlap of leading tenths, which independent matrices have by a tenth
constexpr double kSameWeights = 0.05;  // bit for bit, beyond what a dense change leaves

constexpr double kOneScale = 2e-4;  // what c may be off 1 by itself

// Parts of names of what was trained after a base.
constexpr std::array<std::string_view, 13> kPostNames = {
    "instruct", "chat", "it", "sft", "dpo", "ppo", "grpo", "rl", "rlhf", "reasoning", "thinking", "r1", "distill"};

// Whether one of the words of a name is such a part.
bool says_post(const std::string& name) {
  std::string word;
  for (const char c : name + " ") {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0) {
      word += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
      continue;
    }
    if (std::find(kPostNames.begin(), kPostNames.end(), word) != kPostNames.end()) return true;
    word.clear();
  }
  return false;
}

// The side's overlap in the middle matrix.
double overlap_on(const Rows& rows, Against SubspaceOverlap::*side) {
  std::vector<double> overlaps;
  for (const MatrixRow& row : rows) {
    if (row.quantities) overlaps.push_back((row.quantities->subspace_overlap.q10.*side).value);
  }
  return median(std::move(overlaps));
}

double same_beyond_chance(const Rows& rows) {
  double same = 0, all = 0;
  for (const MatrixRow& row : rows) {
    const double size = static_cast<double>(row.d_in) * static_cast<double>(row.d_out);
    const double expected = std::isnan(row.sparse_expected) ? 0 : row.sparse_expected;
    same += std::isnan(row.unchanged) ? 0 : size * (row.unchanged - expected);
    all += size;
  }
  return same / all;
}

// What else of the base there is to be seen; empty for nothing.
std::string other_trace(const Rows& rows) {
  if (const double same = same_beyond_chance(rows); same > kSameWeights)
    return fmt::format(
        "{} of the weights are bit for bit the base's beyond what a dense change leaves, as independent "
        "weights are only where both are zero",
        percent(same));
  const double in = overlap_on(rows, &SubspaceOverlap::u), out = overlap_on(rows, &SubspaceOverlap::v);
  if (!(std::fmax(in, out) > kSameSubspace)) return "";
  const bool input = !(out > in);
  return fmt::format(
      "the leading directions of the {} side are the base's (overlap {}), as where rows or columns stand "
      "in another order",
      input ? "input" : "output", fixed(input ? in : out, 2));
}

}  // namespace

bool same_weights(const Rows& rows) {
  return std::all_of(rows.begin(), rows.end(), [](const MatrixRow& row) { return row.unchanged == 1; });
}

// In the middle matrix; 0 where chance gives as much.
double cosine_beyond_chance(const Rows& rows) {
  std::vector<double> cosines;
  for (const MatrixRow& row : rows) {
    const double chance = kSignificance / std::sqrt(static_cast<double>(row.d_in * row.d_out));
    cosines.push_back(std::abs(row.cosine) > std::max(kRelatedCosine, chance) ? row.cosine : 0 * row.cosine);
  }
  return median(std::move(cosines));
}

Finding unrelated(const Rows& rows, const Types& types) {
  constexpr FindingId id = FindingId::Unrelated;
  std::vector<double> ratios;
  for (const MatrixRow& row : rows) ratios.push_back(row.nf / row.nf_chance);
  std::erase_if(ratios, [](double r) { return std::isnan(r); });
  const double middle = median(ratios);
  if (same_weights(rows)) {
    return make(
        id, Verdict::No, middle, 1, kUnrelated, kUndefined, names_of(types),
        fmt::format("The two checkpoints hold the same weights, bit for bit, in {}; was the adapter merged?",
                    rows.size() == 1 ? "the matrix compared" : fmt::format("all {} matrices compared", rows.size())));
  }
  if (ratios.empty()) {
    return undefined(id, 1, kUnrelated, names_of(types),
                     "Whether the two models are related is undefined, because NF is not defined for any matrix: in "
                     "each, base or post lacks directions.");
  }
  const auto share = [&](auto test) {
    return static_cast<double>(std::count_if(ratios.begin(), ratios.end(), test)) / static_cast<double>(ratios.size());
  };
  const std::string some =
      ratios.size() < rows.size() ? fmt::format(" ({} of {} matrices have one)", ratios.size(), rows.size()) : "";
  const bool at_chance = share([](double r) { return r > kUnrelated && r <= kReversed; }) > 0.5;
  const double cosine = cosine_beyond_chance(rows);
  if (at_chance && std::abs(cosine) > 0) {
    return make(id, Verdict::No, middle, 1, kUnrelated, kUndefined, names_of(types),
                fmt::format("The two models are related, since their weights agree (median cosine {}), but the change "
                            "is so large that NF is {} of what independent matrices give{}.",
                            fixed(cosine, 2), fixed(middle, 2), some));
  }
  if (const std::string trace = at_chance ? other_trace(rows) : ""; !trace.empty()) {
    return make(id, Verdict::No, middle, 1, kUnrelated, kUndefined, names_of(types),
                fmt::format("NF is {} of what independent matrices give{}, but {}.", fixed(middle, 2), some, trace));
  }
  if (at_chance) {
    return make(id, Verdict::Yes, middle, 1, kUnrelated, kUndefined, names_of(types),
                fmt::format("The base has left no trace in this basis: NF is {} of what independent matrices give{}. "
                            "Unrelated models look so, and so do permuted or rotated copies.",
                            fixed(middle, 2), some));
  }
  if (middle > kReversed) {
    return make(id, Verdict::No, middle, 1, kUnrelated, kUndefined, names_of(types),
                fmt::format("The two models are related: NF is {} of what independent matrices give{}, which do not "
                            "come so far; directions are reversed.",
                            fixed(middle, 2), some));
  }
  return make(id, Verdict::No, middle, 1, kUnrelated, kUndefined, names_of(types),
              fmt::format("The two models are related: NF is {} of what independent matrices give{}.",
                          middle < 0.0005 ? "less than 0.001" : fixed(middle, 3), some));
}

std::optional<Finding> order(const std::string& base, const std::string& post, const Types& types) {
  if (!says_post(base) || says_post(post)) return std::nullopt;
  double least = kUndefined, sd = kUndefined;
  for (const TypeRow& type : types) {
    const double beyond = type.scale_mean - 1;
    if (!(beyond > kOneScale && beyond > kSignificance * type.scale_sd)) return std::nullopt;
    if (!(type.scale_mean >= least)) {
      least = type.scale_mean;
      sd = type.scale_sd;
    }
  }
  return make(FindingId::Order, Verdict::Unclear, least, 1, kOneScale, (least - 1) / sd, names_of(types),
              fmt::format("Is the order BASE POST right? The base is called {}, and W_post ≈ c·W_base with c of at "
                          "least {} in every type, where training with weight decay leaves less than 1.",
                          base, fixed(least, 4)));
}

}  // namespace gyro::findings
