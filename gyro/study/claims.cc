#include "gyro/study/claims.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "gyro/base/error.h"
#include "gyro/base/version.h"

namespace gyro {
namespace {

// A number of a document, NaN where it is null or not there.
double number_of(const Json& object, const char* key) {
  if (!object.is_object()) return NAN;
  const auto it = object.find(key);
  return it != object.end() && it->is_number() ? it->get<double>() : NAN;
}

std::string text_of(const Json& object, const char* key) {
  const auto it = object.is_object() ? object.find(key) : object.end();
  return it != object.end() && it->is_string() ? it->get<std::string>() : "";
}

// A value of any kind; null where it is not there.
Json part_of(const Json& object, const char* key) {
  const auto it = object.is_object() ? object.find(key) : object.end();
  return it != object.end() ? *it : Json();
}

Json list_of(const Json& object, const char* key) {
  const auto it = object.is_object() ? object.find(key) : object.end();
  return it != object.end() && it->is_array() ? *it : Json::array();
}

// --- weights: the findings of gyro diff, which have their nulls in them

const Json* finding_of(const Json& comparison, const char* id) {
  const auto it = comparison.is_object() ? comparison.find("findings") : comparison.end();
  if (it == comparison.end()) return nullptr;
  for (const Json& finding : *it) {
    if (text_of(finding, "id") == id) return &finding;
  }
  return nullptr;
}

ClaimVerdict of_finding(const std::string& verdict) {
  if (verdict == "yes") return ClaimVerdict::Supported;
  if (verdict == "as_chance" || verdict == "rounding") return ClaimVerdict::AsItsControl;
  if (verdict == "no" || verdict == "counter") return ClaimVerdict::NotSupported;
  return ClaimVerdict::Unclear;
}

std::string verdict_in_words(const std::string& verdict) {
  if (verdict == "yes") return "beyond chance and beyond the margin";
  if (verdict == "as_chance") return "a structureless change of the same size does the same";
  if (verdict == "rounding") return "what the dtype rounds away does the same";
  if (verdict == "no") return "it is not so";
  if (verdict == "counter") return "the change is antisymmetric instead";
  if (verdict == "some_types") return "so of some types only, or by less than the margin";
  if (verdict == "slight") return "beyond chance, by less than the margin";
  return "it cannot be said: " + verdict;
}

void take_finding(Claim& claim, const Json& comparison, const char* id) {
  const Json* finding = finding_of(comparison, id);
  if (!finding) {
    claim.why = "no diff of the pair was made";
    return;
  }
  const std::string verdict = text_of(*finding, "verdict");
  claim.figure = text_of(*finding, "text");
  claim.verdict = of_finding(verdict);
  claim.why = verdict_in_words(verdict);
}

// The spread of α over types, of the pair and of its null.
std::string spread_of_null(const Json& comparison) {
  double least = INFINITY, most = -INFINITY;
  for (const Json& type : list_of(comparison, "types")) {
    const Json null = part_of(type, "null");
    const double spread = number_of(null, "alpha_std") / number_of(null, "alpha_mean");
    if (!std::isfinite(spread) || part_of(type, "fused") == true) continue;
    least = std::min(least, spread);
    most = std::max(most, spread);
  }
  if (!std::isfinite(least)) return "";
  return fmt::format("noise of the same size spreads α by {:.2f} to {:.2f} % of its mean", 100 * least, 100 * most);
}

std::string range_over_null(const Json& comparison, const char* key) {
  double least = INFINITY, most = -INFINITY;
  for (const Json& type : list_of(comparison, "types")) {
    const double ratio = number_of(type, key);
    if (!std::isfinite(ratio) || part_of(type, "fused") == true) continue;
    least = std::min(least, ratio);
    most = std::max(most, ratio);
  }
  if (!std::isfinite(least)) return "";
  return fmt::format("robust NF is {:.2f} to {:.2f} of what noise of the same size gives, by type", least, most);
}

// --- answers

// A variant's accuracy over all tasks, and what is known of how far it lies below the original.
struct Answered {
  std::string variant;
  double share = NAN;            ///< least over tasks of accuracy / the original's
  double worst = 0, lowest = 0;  ///< the largest loss over tasks, and the lower end of its interval
  double p = 1;                  ///< the least adjusted p over tasks
};

std::vector<Answered> answered(const Json& evaluation) {
  std::vector<Answered> out;
  std::map<std::string, double> original;
  for (const Json& cell : list_of(evaluation, "cells")) {
    const std::string variant = text_of(cell, "variant"), task = text_of(cell, "task");
    const double accuracy = number_of(part_of(cell, "accuracy"), "mean");
    if (variant == "original") original[task] = accuracy;
    auto it = std::ranges::find(out, variant, &Answered::variant);
    if (it == out.end()) it = out.insert(out.end(), Answered{variant, INFINITY, 0, 0, 1});
    if (original[task] > 0) it->share = std::min(it->share, accuracy / original[task]);
    const Json against = part_of(cell, "against_first");
    if (!against.is_object()) continue;
    it->worst = std::min(it->worst, number_of(against, "difference"));
    it->lowest = std::min(it->lowest, number_of(against, "low"));
    it->p = std::min(it->p, number_of(against, "p_adjusted"));
  }
  std::erase_if(out, [](const Answered& one) { return !std::isfinite(one.share); });
  return out;
}

template <typename Condition>
std::vector<Answered> those(const std::vector<Answered>& all, const Condition& condition) {
  std::vector<Answered> out;
  std::ranges::copy_if(all, std::back_inserter(out), [&](const Answered& one) { return condition(one.variant); });
  return out;
}

bool is_fake(std::string_view name) {
  return name.ends_with("-fake") || name.ends_with("-aligned");
}

// "restore-attention-out 100 %, restore-mlp-out 83 %": of the original's accuracy.
std::string shares_text(const std::vector<Answered>& list) {
  std::vector<std::string> parts;
  for (const Answered& one : list) parts.push_back(fmt::format("{} {:.0f} %", one.variant, 100 * one.share));
  return parts.empty() ? "" : fmt::format("{}", fmt::join(parts, ", "));
}

double least_share(const std::vector<Answered>& list) {
  return list.empty() ? NAN : std::ranges::min(list, {}, &Answered::share).share;
}
double most_share(const std::vector<Answered>& list) {
  return list.empty() ? NAN : std::ranges::max(list, {}, &Answered::share).share;
}

constexpr const char* kNoTasks = "no tasks were asked";

// Whether replaced singular values leave what a model answers (Tables 1, 5).
void take_replacement(Claim& claim, const std::vector<Answered>& all) {
  const auto replaced = those(all, [](std::string_view name) { return name == "replace" || name == "replace-scaled"; });
  const auto noise = those(all, [](std::string_view name) { return name == "replace-noise"; });
  if (replaced.empty()) {
    claim.why = all.empty() ? kNoTasks : "no variant with replaced singular values was asked";
    return;
  }
  const Answered& worst = std::ranges::min(replaced, {}, &Answered::worst);
  claim.figure = fmt::format("of the original's accuracy: {}", shares_text(replaced));
  if (!noise.empty()) claim.control = fmt::format("noise of the same size: {}", shares_text(noise));
  const bool kept = worst.lowest > -kKept, lost = worst.worst < -kKept && worst.p < 0.05;
  const bool noise_keeps = !noise.empty() && noise.front().lowest > -kKept;
  claim.verdict = kept && noise_keeps ? ClaimVerdict::AsItsControl
                  : kept              ? ClaimVerdict::Supported
                  : lost              ? ClaimVerdict::NotSupported
                                      : ClaimVerdict::Unclear;
  claim.why = fmt::format("the largest loss is {:.1f} points, with 95 % no more than {:.1f}", -100 * worst.worst,
                          std::max(0.0, -100 * worst.lowest));
  if (kept && noise_keeps)
    claim.why += "; noise of the same size leaves as much, so nothing hangs on what was replaced";
  if (kept && noise.empty()) claim.why += "; no noise of the same size was asked beside it";
}

// Whether a model whose sides turn differently is destroyed (Table 2, Figure 5).
void take_ablation(Claim& claim, const std::vector<Answered>& all) {
  const auto ablated = those(all, [](std::string_view name) { return name.starts_with("ablate-") && !is_fake(name); });
  const auto controls = those(all, [](std::string_view name) { return name.starts_with("ablate-") && is_fake(name); });
  if (ablated.empty()) {
    claim.why = all.empty() ? kNoTasks : "no ablation was asked";
    return;
  }
  claim.figure = fmt::format("of the original's accuracy: {}", shares_text(ablated));
  if (!controls.empty()) claim.control = shares_text(controls);
  const bool destroyed = most_share(ablated) < kLost;
  const bool controls_too = !controls.empty() && most_share(controls) < kLost;
  claim.verdict = destroyed && controls_too           ? ClaimVerdict::AsItsControl
                  : destroyed                         ? ClaimVerdict::Supported
                  : least_share(ablated) >= kRestored ? ClaimVerdict::NotSupported
                                                      : ClaimVerdict::Unclear;
  claim.why = destroyed ? fmt::format("all ablations keep under {:.0f} % of the original's accuracy", 100 * kLost)
                        : fmt::format("an ablation keeps {:.0f} % of it", 100 * most_share(ablated));
  if (destroyed && controls_too) {
    claim.why +=
        "; so do those of a fake base or with signs aligned: what destroys is the construction, not that a "
        "rotation of post-training is taken away";
  }
  if (destroyed && controls.empty()) claim.why += "; no control was asked beside them";
}

// Whether the other side's rotation restores it (Tables 2, 7, 8).
void take_restoration(Claim& claim, const std::vector<Answered>& all, bool sibling) {
  const auto is_restored = [&](std::string_view name) {
    return name.starts_with("restore-") && !is_fake(name) && name.ends_with("-sibling") == sibling;
  };
  const auto restored = those(all, is_restored);
  const auto controls = those(all, [](std::string_view name) {
    return (name.starts_with("restore-") && is_fake(name)) || name.starts_with("base-");
  });
  if (restored.empty()) {
    claim.why = all.empty() ? kNoTasks : sibling ? "no sibling was named" : "no restoration was asked";
    return;
  }
  claim.figure = fmt::format("of the original's accuracy: {}", shares_text(restored));
  if (!controls.empty()) claim.control = shares_text(controls);
  const auto fakes = those(all, [](std::string_view name) { return name.starts_with("restore-") && is_fake(name); });
  const bool back = least_share(restored) >= kRestored, none = most_share(restored) < kLost;
  const bool fakes_too = !fakes.empty() && least_share(fakes) >= kRestored;
  claim.verdict = back && fakes_too ? ClaimVerdict::AsItsControl
                  : back            ? ClaimVerdict::Supported
                  : none            ? ClaimVerdict::NotSupported
                                    : ClaimVerdict::Unclear;
  claim.why = fmt::format("they keep {:.0f} to {:.0f} % of the original's accuracy; {:.0f} % count as restored",
                          100 * least_share(restored), 100 * most_share(restored), 100 * kRestored);
  if (back && fakes_too) claim.why += "; a fake base, noise in place of what post-training did, restores as much";
  if (back && fakes.empty()) claim.why += "; no fake base was asked beside them";
}

// --- attention

// Of a subject's comparison, the blocks' figures of a key.
std::vector<double> figures_of(const Json& attention, std::string_view subject, const char* key) {
  std::vector<double> out;
  for (const Json& comparison : list_of(attention, "comparisons")) {
    if (text_of(comparison, "subject") != subject) continue;
    for (const Json& block : list_of(comparison, "blocks")) {
      const double value = number_of(block, key);
      if (std::isfinite(value)) out.push_back(value);
    }
  }
  return out;
}

double median(std::vector<double> values) {
  if (values.empty()) return NAN;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::ranges::nth_element(values, middle);
  if (values.size() % 2 == 1) return *middle;
  return (*middle + *std::max_element(values.begin(), middle)) / 2;
}

// Mean over questions and blocks of the original's entropy (mean over heads), in nats.
double mean_entropy(const Json& attention) {
  const Json subjects = list_of(attention, "subjects");
  double sum = 0;
  int64_t count = 0;
  for (const Json& question : subjects.empty() ? Json::array() : list_of(subjects[0], "entropy_mean")) {
    for (const Json& value : question) {
      if (!value.is_number()) continue;
      sum += value.get<double>();
      ++count;
    }
  }
  return count > 0 ? sum / static_cast<double>(count) : NAN;
}

// Mean over blocks of |difference of entropy|, relative to the original's mean entropy.
double entropy_change(const Json& attention, std::string_view subject) {
  const std::vector<double> differences = figures_of(attention, subject, "entropy_difference");
  if (differences.empty()) return NAN;
  double sum = 0;
  for (const double difference : differences) sum += std::abs(difference);
  return sum / static_cast<double>(differences.size()) / mean_entropy(attention);
}

constexpr const char* kNoAttention = "attention was not probed with replaced singular values";

void take_entropy(Claim& claim, const Json& attention) {
  const double replaced = entropy_change(attention, "replace"), noise = entropy_change(attention, "replace-noise");
  if (!std::isfinite(replaced)) {
    claim.why = kNoAttention;
    return;
  }
  claim.figure = fmt::format("entropy moves by {:.2f} % in the mean over blocks", 100 * replaced);
  if (std::isfinite(noise)) claim.control = fmt::format("by {:.2f} % for noise of the same size", 100 * noise);
  const bool same = replaced < kSameEntropy, noise_too = noise < kSameEntropy;
  claim.verdict = same && noise_too ? ClaimVerdict::AsItsControl
                  : same            ? ClaimVerdict::Supported
                                    : ClaimVerdict::NotSupported;
  claim.why = fmt::format("{} than {:.0f} %, what counts as none", same ? "less" : "more", 100 * kSameEntropy);
  if (same && noise_too) claim.why += "; noise of the same size leaves it as well";
  if (same && !std::isfinite(noise)) claim.why += "; no noise of the same size was probed beside it";
}

void take_temperature(Claim& claim, const Json& attention) {
  const double explained = median(figures_of(attention, "replace", "explained"));
  const double by_noise = median(figures_of(attention, "replace-noise", "explained"));
  const double temperature = median(figures_of(attention, "replace", "temperature"));
  std::vector<double> expected;
  for (const Json& block : list_of(attention, "alpha")) {
    if (const double value = number_of(block, "expected"); std::isfinite(value)) expected.push_back(value);
  }
  if (!std::isfinite(explained)) {
    claim.why = std::isfinite(temperature) ? "attention differs too little for a share to be explained" : kNoAttention;
    return;
  }
  claim.figure = fmt::format("a temperature of {:.4f} (median over blocks) explains {:.0f} % of the change",
                             temperature, 100 * explained);
  if (!expected.empty()) claim.figure += fmt::format("; 1/(α_Q α_K) is {:.4f}", median(expected));
  if (std::isfinite(by_noise))
    claim.control = fmt::format("{:.0f} % of what noise of the same size does", 100 * by_noise);
  const bool most = explained >= kTemperature, beyond = !(explained < by_noise + kBeyond);
  claim.verdict = most && beyond ? ClaimVerdict::Supported
                  : most         ? ClaimVerdict::AsItsControl
                                 : ClaimVerdict::NotSupported;
  claim.why =
      fmt::format("{} than {:.0f} % of the change is a temperature", most ? "more" : "less", 100 * kTemperature);
  if (most && !beyond) claim.why += ", and of noise as much";
}

// --- representations

// Mean |CKA − the original's own| of the subjects that a condition takes.
template <typename Condition>
std::vector<std::pair<std::string, double>> distances(const Json& cka, const Condition& condition) {
  std::vector<std::pair<std::string, double>> out;
  for (const Json& subject : list_of(cka, "subjects")) {
    const std::string name = text_of(subject, "name");
    const double distance = number_of(part_of(subject, "distance"), "question_mean");
    if (condition(name) && std::isfinite(distance)) out.emplace_back(name, distance);
  }
  return out;
}

std::string distances_text(const std::vector<std::pair<std::string, double>>& list) {
  std::vector<std::string> parts;
  for (const auto& [name, distance] : list) parts.push_back(fmt::format("{} {:.3f}", name, distance));
  return fmt::format("{}", fmt::join(parts, ", "));
}

double mean_of(const std::vector<std::pair<std::string, double>>& list) {
  double sum = 0;
  for (const auto& [name, distance] : list) sum += distance;
  return list.empty() ? NAN : sum / static_cast<double>(list.size());
}

// Figures 6 and 19: ablation takes the representations apart, restoration brings them back.
void take_cka(Claim& claim, const Json& cka) {
  const auto starts = [](const char* prefix, bool fake) {
    return [=](std::string_view name) {
      return name.starts_with(prefix) && is_fake(name) == fake && !name.ends_with("-sibling");
    };
  };
  const auto ablated = distances(cka, starts("ablate-", false)), restored = distances(cka, starts("restore-", false));
  const auto ablated_fake = distances(cka, starts("ablate-", true)),
             restored_fake = distances(cka, starts("restore-", true));
  if (ablated.empty() || restored.empty()) {
    claim.why = "CKA was not probed of an ablation and a restoration";
    return;
  }
  claim.figure = fmt::format("mean distance from the original's heat map: {}; {}", distances_text(ablated),
                             distances_text(restored));
  const bool has_control = !ablated_fake.empty() && !restored_fake.empty();
  if (has_control) claim.control = distances_text(ablated_fake) + "; " + distances_text(restored_fake);
  const double ratio = mean_of(restored) / mean_of(ablated), of_fake = mean_of(restored_fake) / mean_of(ablated_fake);
  const bool brought_back = ratio < kTemperature, fake_too = has_control && of_fake < kTemperature;
  claim.verdict = brought_back && fake_too ? ClaimVerdict::AsItsControl
                  : brought_back           ? ClaimVerdict::Supported
                                           : ClaimVerdict::NotSupported;
  claim.why = fmt::format("restorations lie at {:.2f} of the ablations' distance", ratio);
  if (has_control) claim.why += fmt::format(", those of a fake base at {:.2f}", of_fake);
  if (!has_control) claim.why += "; no fake base was probed beside them";
}

// --- rotations

// App. G.2: carried into each other by a rotation that they share.
void take_rotations(Claim& claim, const StudyDocuments& documents) {
  std::vector<double> errors, nulls, correlations;
  for (const Json& pair : documents.rotations) {
    for (const Json& row : list_of(pair, "matrices")) {
      const double error = number_of(row, "carry_error"), null = number_of(row, "carry_error_null");
      if (!std::isfinite(error) || !std::isfinite(null)) continue;
      errors.push_back(error);
      nulls.push_back(null);
    }
  }
  if (errors.empty()) {
    claim.why = "no other post of the base was named";
    return;
  }
  const double error = median(errors), null = median(nulls);
  claim.figure =
      fmt::format("the shared rotation leaves {:.3f} of the distance between the posts (median over matrices)", error);
  claim.control = fmt::format("{:.3f} where noise of the same size stands for the other post", null);
  const bool carried = error < kTemperature, beyond = error < null * (1 - kBeyond);
  claim.verdict = carried && beyond ? ClaimVerdict::Supported
                  : carried         ? ClaimVerdict::AsItsControl
                                    : ClaimVerdict::NotSupported;
  claim.why = carried ? fmt::format("less than {:.0f} % is left{}", 100 * kTemperature,
                                    beyond ? ", less than of noise" : ", and of noise as little")
                      : fmt::format("more than {:.0f} % is left", 100 * kTemperature);
}

std::string name_in_json(ClaimVerdict verdict) {
  return std::string(claim_verdict_name(verdict));
}

}  // namespace

std::string_view claim_verdict_name(ClaimVerdict verdict) {
  constexpr std::string_view kNames[] = {"supported", "as its control", "not supported", "unclear", "not tested"};
  return kNames[static_cast<size_t>(verdict)];
}

std::vector<Claim> judge_claims(const StudyDocuments& documents) {
  const std::vector<Answered> answers = answered(documents.evaluation);
  std::vector<Claim> claims;
  const auto add = [&](const char* id, const char* claim, const char* where, const char* evidence) -> Claim& {
    return claims.emplace_back(Claim{id, claim, where, evidence, "", "", ClaimVerdict::NotTested, ""});
  };
  Claim& scaling = add("uniform_scaling", "Principal singular values scale near-uniformly.", "§4.1, Figure 2, Table 3",
                       "SVSM heat maps of posts are flat, those of another base are not");
  take_finding(scaling, documents.comparison, "uniform_scaling");
  scaling.control = spread_of_null(documents.comparison);
  Claim& anomaly = add("w_o_anomaly", "In reasoning models W_O scales up more than the other types.", "§4.1, Table 3",
                       "α of W_O lies above the other types' in all four reasoning models");
  take_finding(anomaly, documents.comparison, "w_o_anomaly");
  if (anomaly.verdict == ClaimVerdict::NotSupported) anomaly.why += "; the paper says it of reasoning models alone";
  Claim& rotation = add("co_rotation", "Left and right singular vectors turn by the same orthogonal matrix.",
                        "§4.2, eqs. 6 and 7, Figure 3", "NF of posts lies far below another base's");
  take_finding(rotation, documents.comparison, "co_rotation");
  rotation.control = range_over_null(documents.comparison, "nf_robust_mean_over_null");
  take_replacement(add("replacement", "Replacing the singular values by the base's leaves performance.",
                       "§5.1, Tables 1 and 5", "accuracies within some points of the original's"),
                   answers);
  take_entropy(add("attention_entropy", "It leaves attention entropy.", "§5.1, Figures 4 and 15-18",
                   "entropies of original and replaced lie on each other"),
               documents.attention);
  take_temperature(add("temperature", "Its effect on attention is that of a temperature, 1/(α_Q α_K).", "App. G.1",
                       "a derivation; a smoothing seen in one map"),
                   documents.attention);
  take_ablation(add("ablation", "Without the rotation of one side the model collapses.", "§5.2, Table 2, Figure 5",
                    "all ablations at 0 %"),
                answers);
  take_restoration(add("restoration", "The other side's rotation in its place restores it.", "§5.2, Tables 2, 7 and 8",
                       "most accuracies near the original's"),
                   answers, false);
  take_cka(add("representations", "Hidden representations break and come back with it.", "§5.2, Figures 6 and 19",
               "CKA heat maps"),
           documents.cka);
  take_restoration(add("sibling", "A sibling's rotation restores it as well.", "eq. 12, Figure 6", "one CKA heat map"),
                   answers, true);
  take_rotations(add("shared_rotation", "Posts of one base are carried into each other by a shared rotation.",
                     "App. G.2", "a derivation"),
                 documents);
  return claims;
}

Json claims_json(const Json& models, const std::vector<std::pair<std::string, std::vector<Claim>>>& posts) {
  Json list = Json::array();
  for (const auto& [post, claims] : posts) {
    Json rows = Json::array();
    for (const Claim& claim : claims) {
      rows.push_back({{"id", claim.id},
                      {"claim", claim.claim},
                      {"where", claim.where},
                      {"evidence", claim.evidence},
                      {"figure", claim.figure},
                      {"control", claim.control},
                      {"verdict", name_in_json(claim.verdict)},
                      {"why", claim.why}});
    }
    list.push_back({{"post", post}, {"claims", rows}});
  }
  return {{"schema", "gyro.claims/1"},
          {"gyro", {{"version", std::string(version())}}},
          {"models", models},
          {"posts", list}};
}

}  // namespace gyro
