#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <numeric>

#include "gyro/study/claim_parts.h"

namespace gyro {
namespace {

constexpr const char* kNoAttention = "attention was not probed with replaced singular values";

double mean(const std::vector<double>& values) {
  if (values.empty()) return NAN;
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

// The blocks of a subject's comparison with the original.
const Json& blocks_of(const Json& attention, std::string_view subject) {
  for (const Json& comparison : list_of(attention, "comparisons")) {
    if (text_of(comparison, "subject") == subject) return list_of(comparison, "blocks");
  }
  return list_of(nullptr, "blocks");
}

// Mean over questions and blocks of the original's entropy, in nats.
double mean_entropy(const Json& attention) {
  std::vector<double> values;
  const Json& subjects = list_of(attention, "subjects");
  if (subjects.empty()) return NAN;
  for (const Json& question : list_of(subjects[0], "entropy_mean")) {
    for (const Json& value : question) {
      if (value.is_number()) values.push_back(value.get<double>());
    }
  }
  return mean(values);
}

// Mean over blocks of the size of the entropy's change, of the original's mean entropy.
double entropy_change(const Json& attention, std::string_view subject) {
  std::vector<double> sizes;
  for (const Json& block : blocks_of(attention, subject)) {
    const double difference = number_of(block, "entropy_difference");
    if (std::isfinite(difference)) sizes.push_back(std::abs(difference));
  }
  return mean(sizes) / mean_entropy(attention);
}

// What temperatures explain of a subject's KL to the original, over the blocks where a share is defined.
struct Explained {
  double fitted = NAN, expected = NAN;  ///< shares of the sum: by each block's best temperature, by 1/(α_Q α_K)
  double least = NAN, most = NAN;       ///< temperatures
  size_t blocks = 0, defined = 0;
};

Explained explained(const Json& attention, std::string_view subject) {
  Explained out;
  double all = 0, left = 0, left_by_expected = 0;
  const Json& blocks = blocks_of(attention, subject);
  out.blocks = blocks.size();
  for (const Json& block : blocks) {
    const double kl = number_of(block, "kl"), temperature = number_of(block, "temperature");
    if (!std::isfinite(number_of(block, "explained")) || !std::isfinite(kl)) continue;
    ++out.defined;
    all += kl;
    left += number_of(block, "kl_fitted");
    left_by_expected += number_of(block, "kl_expected");  // one that is not defined makes the sum so
    out.least = std::fmin(out.least, temperature);
    out.most = std::fmax(out.most, temperature);
  }
  if (!(all > 0)) return out;
  out.fitted = 1 - left / all;
  out.expected = 1 - left_by_expected / all;
  return out;
}

// Mean size of the difference between a subject's CKA heat map and the original's own.
double distance_of(const Json& cka, std::string_view name, const char* reading) {
  for (const Json& subject : list_of(cka, "subjects")) {
    if (text_of(subject, "name") == name) return number_of(part_of(subject, "distance"), reading);
  }
  return NAN;
}

struct Distances {
  std::vector<std::string> names, fakes;  ///< as texts with their distances
  std::vector<double> own, fake;          ///< the same number: NaN where there is no fake
};

Distances distances(const Json& cka, std::string_view operation, const char* reading) {
  Distances out;
  for (const Json& subject : list_of(cka, "subjects")) {
    const std::string name = text_of(subject, "name");
    const double own = distance_of(cka, name, reading), fake = distance_of(cka, name + "-fake", reading);
    if (text_of(subject, "kind") != "variant" || !name.starts_with(operation) || name.ends_with("-sibling")) continue;
    if (!std::isfinite(own)) continue;
    out.names.push_back(fmt::format("{} {:.3f}", name, own));
    out.own.push_back(own);
    out.fake.push_back(fake);
    if (std::isfinite(fake)) out.fakes.push_back(fmt::format("{}-fake {:.3f}", name, fake));
  }
  return out;
}

bool has_distances(const Json& cka, const char* reading) {
  return !distances(cka, "ablate-", reading).own.empty() && !distances(cka, "restore-", reading).own.empty();
}

}  // namespace

// Figures 4 and 15 to 18.
void judge_entropy(Claim& claim, const Json& attention) {
  const double replaced = entropy_change(attention, "replace"), noise = entropy_change(attention, "replace-noise");
  if (!std::isfinite(replaced)) {
    claim.why = kNoAttention;
    return;
  }
  claim.figure = fmt::format("entropy moves by {:.2f} % of its mean, on average over blocks", 100 * replaced);
  if (std::isfinite(noise)) claim.control = fmt::format("by {:.2f} % for noise of the same size", 100 * noise);
  const bool same = replaced < kSameEntropy;
  claim.why = fmt::format("{} than {:.0f} %, what counts as none", same ? "less" : "more", 100 * kSameEntropy);
  claim.verdict = same ? ClaimVerdict::Unclear : ClaimVerdict::NotSupported;
  if (!same) return;
  if (!std::isfinite(noise)) {
    claim.why += "; no noise of the same size was probed beside it";
    return;
  }
  claim.verdict = noise < kSameEntropy ? ClaimVerdict::AsItsControl : ClaimVerdict::Supported;
  if (noise < kSameEntropy) claim.why += "; noise of the same size leaves it as well";
}

// App. G.1.
void judge_temperature(Claim& claim, const Json& attention) {
  const Explained own = explained(attention, "replace"), noise = explained(attention, "replace-noise");
  if (!std::isfinite(own.fitted)) {
    claim.why =
        own.blocks > 0 ? "attention differs too little in all blocks for a share to be explained" : kNoAttention;
    return;
  }
  claim.figure =
      fmt::format("temperatures of {:.4f} to {:.4f} explain {:.0f} % of the change (KL, over {} of {} blocks)",
                  own.least, own.most, 100 * own.fitted, own.defined, own.blocks);
  if (std::isfinite(own.expected)) claim.figure += fmt::format("; 1/(α_Q α_K) explains {:.0f} %", 100 * own.expected);
  if (std::isfinite(noise.fitted)) {
    claim.control = fmt::format("they explain {:.0f} % of what noise of the same size does", 100 * noise.fitted);
  }
  const bool most = own.fitted >= kTemperature, known = std::isfinite(noise.fitted);
  const bool beyond = own.fitted > noise.fitted + kBeyond;
  claim.why =
      fmt::format("{} than {:.0f} % of the change is a temperature", most ? "more" : "less", 100 * kTemperature);
  if (!most) {
    claim.verdict = ClaimVerdict::NotSupported;
    if (known && beyond) claim.why += ", though more than of noise";
  } else if (!known) {
    claim.verdict = ClaimVerdict::Unclear;
    claim.why += "; noise of the same size was not probed beside it, or does too little";
  } else if (!beyond) {
    claim.verdict = ClaimVerdict::AsItsControl;
    claim.why += ", and of noise as much";
  } else if (own.expected >= kTemperature) {
    claim.verdict = ClaimVerdict::Supported;
  } else {
    claim.verdict = ClaimVerdict::Unclear;
    claim.why += std::isfinite(own.expected) ? ", but not this one" : "; 1/(α_Q α_K) does not apply to this model";
  }
}

// Figures 6 and 19: ablation takes the representations apart, restoration brings them back.
void judge_representations(Claim& claim, const Json& cka) {
  const char* reading = has_distances(cka, "question_mean_unbiased") ? "question_mean_unbiased" : "question_mean";
  const Distances ablated = distances(cka, "ablate-", reading), restored = distances(cka, "restore-", reading);
  if (ablated.own.empty() || restored.own.empty()) {
    claim.why = "CKA was not probed of an ablation and a restoration";
    return;
  }
  claim.figure = fmt::format("mean distance from the original's heat map ({}): {}; {}", reading,
                             fmt::join(ablated.names, ", "), fmt::join(restored.names, ", "));
  if (!restored.fakes.empty()) {
    claim.control = fmt::format("{}; {}", fmt::join(ablated.fakes, ", "), fmt::join(restored.fakes, ", "));
  }
  const double apart = mean(ablated.own), back = mean(restored.own) / apart;
  const double fake = mean(restored.fake) / mean(ablated.fake);
  if (apart < kApart) {
    claim.verdict = ClaimVerdict::NotSupported;
    claim.why =
        fmt::format("ablations lie {:.3f} apart on average, under {:.2f}: they hardly break them", apart, kApart);
    return;
  }
  claim.why = fmt::format("restorations lie at {:.2f} of the ablations' distance", back);
  if (!(back < kTemperature)) {
    claim.verdict = ClaimVerdict::NotSupported;
  } else if (!std::isfinite(fake)) {
    claim.verdict = ClaimVerdict::Unclear;
    claim.why += "; no fake base was probed beside each";
  } else {
    claim.verdict = back < fake - kBeyond ? ClaimVerdict::Supported : ClaimVerdict::AsItsControl;
    claim.why += fmt::format(", those of a fake base at {:.2f}", fake);
  }
}

// App. G.2, as gyro probe rotation judges it.
void judge_rotations(Claim& claim, const std::vector<Json>& pairs) {
  size_t above = 0, undefined = 0, related = 0;
  std::vector<std::string> own, null;
  for (const Json& pair : pairs) {
    const Json &verdicts = part_of(pair, "verdicts"), &all = part_of(pair, "all");
    if (!verdicts.is_object() || part_of(verdicts, "unrelated") == true) continue;
    ++related;
    const std::string carried = text_of(verdicts, "carried");
    above += carried == "above" ? 1 : 0;
    undefined += carried == "undefined" ? 1 : 0;
    own.push_back(fmt::format("{:.1f} %", 100 * number_of(all, "explained")));
    null.push_back(fmt::format("{:.1f} %", 100 * number_of(all, "explained_null")));
  }
  if (related == 0) {
    claim.why = pairs.empty() ? "no other post of the base was named" : "the other models are no posts of the base";
    return;
  }
  claim.figure = fmt::format("carrying explains {} of the distance between posts", fmt::join(own, ", "));
  claim.control = fmt::format("{} where noise of the same size stands for the other post", fmt::join(null, ", "));
  const bool all = above == related, none = above == 0 && undefined == 0;
  claim.verdict = all ? ClaimVerdict::Supported : none ? ClaimVerdict::AsItsControl : ClaimVerdict::Unclear;
  claim.why = all    ? "more than of noise, and than independent sides give, by 2 points and 4 deviations"
              : none ? "no more than of noise: that it is carried is no evidence of a shared rotation"
                     : fmt::format("more than of noise in {} of {} pairs", above, related);
}

}  // namespace gyro
