#include "gyro/study/claims.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "gyro/base/version.h"
#include "gyro/study/claim_parts.h"

namespace gyro {
namespace {

// Of weights the findings of gyro diff, which have their nulls in them.

const Json& finding_of(const Json& comparison, const char* id) {
  static const Json none;
  for (const Json& finding : list_of(comparison, "findings")) {
    if (text_of(finding, "id") == id) return finding;
  }
  return none;
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
  const Json& finding = finding_of(comparison, id);
  if (finding.is_null()) {
    claim.why = "no diff of the pair was made";
    return;
  }
  const std::string verdict = text_of(finding, "verdict");
  claim.figure = text_of(finding, "text");
  claim.verdict = of_finding(verdict);
  claim.why = verdict_in_words(verdict);
}

// The least and the largest of a figure over the types, fused ones apart; nothing where it is defined of none.
template <typename Figure>
std::optional<std::pair<double, double>> range_over_types(const Json& comparison, const Figure& figure) {
  double least = INFINITY, most = -INFINITY;
  for (const Json& type : list_of(comparison, "types")) {
    const double value = figure(type);
    if (!std::isfinite(value) || part_of(type, "fused") == true) continue;
    least = std::min(least, value);
    most = std::max(most, value);
  }
  if (!std::isfinite(least)) return std::nullopt;
  return std::pair(least, most);
}

std::string spread_of_null(const Json& comparison) {
  const auto range = range_over_types(comparison, [](const Json& type) {
    const Json& null = part_of(type, "null");
    return number_of(null, "alpha_std") / number_of(null, "alpha_mean");
  });
  if (!range) return "";
  return fmt::format("noise of the same size spreads α by {:.2f} to {:.2f} % of its mean", 100 * range->first,
                     100 * range->second);
}

std::string nf_over_null(const Json& comparison) {
  const auto range =
      range_over_types(comparison, [](const Json& type) { return number_of(type, "nf_robust_mean_over_null"); });
  if (!range) return "";
  return fmt::format("robust NF is {:.2f} to {:.2f} of what noise of the same size gives, by type", range->first,
                     range->second);
}

// What chance gives of a finding's figure, and from where on it counts.
std::string margin_of(const Json& comparison, const char* id) {
  const Json& finding = finding_of(comparison, id);
  const double null = number_of(finding, "null"), threshold = number_of(finding, "threshold");
  if (!std::isfinite(null) || !std::isfinite(threshold)) return "";
  return fmt::format("chance gives {:.2g}; it counts from {:.2g} on", null, threshold);
}

}  // namespace

std::string_view claim_verdict_name(ClaimVerdict verdict) {
  constexpr std::string_view kNames[] = {"supported", "as its control", "not supported", "unclear", "not tested"};
  return kNames[static_cast<size_t>(verdict)];
}

std::vector<Claim> judge_claims(const StudyDocuments& documents) {
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
  anomaly.control = margin_of(documents.comparison, "w_o_anomaly");
  if (anomaly.verdict == ClaimVerdict::NotSupported) anomaly.why += "; the paper says it of reasoning models alone";
  Claim& rotation = add("co_rotation", "Left and right singular vectors turn by the same orthogonal matrix.",
                        "§4.2, eqs. 6 and 7, Figure 3", "NF of posts lies far below another base's");
  take_finding(rotation, documents.comparison, "co_rotation");
  rotation.control = nf_over_null(documents.comparison);
  judge_replacement(add("replacement", "Replacing the singular values by the base's leaves performance.",
                        "§5.1, Tables 1 and 5", "accuracies within some points of the original's"),
                    documents.evaluation);
  judge_entropy(add("attention_entropy", "It leaves attention entropy.", "§5.1, Figures 4 and 15-18",
                    "entropies of original and replaced lie on each other"),
                documents.attention);
  judge_temperature(add("temperature", "Its effect on attention is that of a temperature, 1/(α_Q α_K).", "App. G.1",
                        "a derivation; a smoothing seen in one map"),
                    documents.attention);
  judge_ablation(add("ablation", "Without the rotation of one side the model collapses.", "§5.2, Table 2, Figure 5",
                     "all ablations at 0 %"),
                 documents.evaluation);
  judge_restoration(add("restoration", "The other side's rotation in its place restores it.", "§5.2, Tables 2, 7 and 8",
                        "most accuracies near the original's"),
                    documents.evaluation, false);
  judge_representations(add("representations", "Hidden representations break and come back with it.",
                            "§5.2, Figures 6 and 19", "CKA heat maps"),
                        documents.cka);
  judge_restoration(add("sibling", "A sibling's rotation restores it as well.", "eq. 12, Figure 6", "one CKA heat map"),
                    documents.evaluation, true);
  judge_rotations(add("shared_rotation", "Posts of one base are carried into each other by a shared rotation.",
                      "App. G.2", "a derivation"),
                  documents.rotations);
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
                      {"verdict", std::string(claim_verdict_name(claim.verdict))},
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
