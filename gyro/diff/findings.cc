#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "gyro/diff/result.h"

namespace gyro {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

// Thresholds of design §1.5 and §4.
constexpr double kUniformSpread = 0.05;  // α std over α mean
constexpr double kRatioMargin = 0.05;    // a ratio to the null
constexpr double kCommonScalar = 0.002;  // largest departure of a type's c from the mean c
constexpr double kLeastScalar = 0.5;     // below it there is hardly anything left of the base to scale
constexpr double kWoAnomaly = 0.2;       // W_O's α above the other types'
constexpr double kCoRotation = 0.02;     // counter/co below 1
constexpr double kSignificance = 4;      // |z|
constexpr double kUnrelated = 0.8;       // NF over chance
constexpr double kLowRank = 0.1;         // stable rank over that of noise
constexpr double kSparse = 0.25;         // share of weights left as they were

Json finding(const char* id, const char* verdict, double value, double null, double threshold, double z, Json types,
             std::string text) {
  return {{"id", id},
          {"verdict", verdict},
          {"value", finite_or_null(value)},
          {"null", finite_or_null(null)},
          {"threshold", threshold},
          {"z", finite_or_null(z)},
          {"types", std::move(types)},
          {"text", std::move(text)}};
}

double median(std::vector<double> values) {
  std::erase_if(values, [](double x) { return std::isnan(x); });
  if (values.empty()) return kNaN;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

Json type_names(const std::vector<Json>& types) {
  Json names = Json::array();
  for (const Json& type : types) names.push_back(type["type"]);
  return names;
}

std::string joined(const Json& names) {
  std::string out;
  for (const Json& name : names) out += (out.empty() ? "" : ", ") + name.get<std::string>();
  return out;
}

double mean_of(const std::vector<Json>& types, const char* key) {
  double sum = 0;
  for (const Json& type : types) sum += number(type, key);
  return sum / static_cast<double>(types.size());
}

// The types that have a number there, and those that have none.
std::vector<Json> with(std::vector<Json> types, const char* key) {
  std::erase_if(types, [&](const Json& type) { return std::isnan(number(type, key)); });
  return types;
}
std::vector<Json> without(std::vector<Json> types, const char* key) {
  std::erase_if(types, [&](const Json& type) { return !std::isnan(number(type, key)); });
  return types;
}

// What cannot be said, and why not.
Json undefined_finding(const char* id, double null, double threshold, Json types, std::string why) {
  return finding(id, "undefined", kNaN, null, threshold, kNaN, std::move(types), std::move(why));
}

double relative_spread(const Json& type_or_null) {
  return number(type_or_null, "alpha_std") / number(type_or_null, "alpha_mean");
}

// How far below 1 a type's spread over its null's must be. Both are deviations of about Σ k samples, right to a
// relative 1/√(2 Σ k) each (one draw): small models need a wider margin than kRatioMargin.
double uniformity_margin(const std::vector<Json>& rows, const Json& type) {
  double samples = 0;
  for (const Json& row : rows) samples += row["type"] == type ? number(row, "k") : 0;
  return std::max(kRatioMargin, kSignificance / std::sqrt(samples));
}

// Each type against its own null: one type that spreads less than chance says nothing of another.
Json uniform_scaling(const std::vector<Json>& rows, const std::vector<Json>& types) {
  double spread = 0, null = kNaN;
  bool defined = true, drawn = true;
  Json even = Json::array();
  for (const Json& type : types) {
    const double own = relative_spread(type), chance = relative_spread(type["null"]);
    defined = defined && !std::isnan(own);
    drawn = drawn && !std::isnan(chance);
    if (own < (1 - uniformity_margin(rows, type["type"])) * chance) even.push_back(type["type"]);
    if (own >= spread) {
      spread = own;
      null = chance;
    }
  }
  if (!defined)
    return finding("uniform_scaling", "undefined", kNaN, kNaN, kUniformSpread, kNaN, type_names(types),
                   "α is not defined for some matrices: the base lacks leading directions.");
  if (spread >= kUniformSpread)
    return finding(
        "uniform_scaling", "no", spread, null, kUniformSpread, kNaN, type_names(types),
        fmt::format("Singular values do not scale uniformly: within a type α spreads by up to {:.2g} % of its mean.",
                    100 * spread));
  std::string text = fmt::format(
      "Singular values scale near-uniformly: within a type α spreads by at most {:.2g} % of its mean", 100 * spread);
  if (!drawn)
    return finding("uniform_scaling", "unclear", spread, null, kUniformSpread, kNaN, type_names(types),
                   text + "; without draws of the null it stays open what chance would give.");
  text += fmt::format(" (a structureless change of the same size: {:.2g} %)", 100 * null);
  const char* verdict = even.size() == types.size() ? "yes" : even.empty() ? "as_chance" : "some_types";
  text += even.size() == types.size() ? ", in every type less than chance gives."
          : even.empty()              ? "; that is as chance gives and no evidence of structure."
                         : fmt::format("; less than chance gives in {}, as chance in the others.", joined(even));
  return finding("uniform_scaling", verdict, spread, null, kUniformSpread, kNaN,
                 even.empty() ? type_names(types) : std::move(even), text);
}

Json common_scalar(const std::vector<Json>& all_types) {
  const std::vector<Json> types = with(all_types, "scale_mean");
  if (types.empty())
    return undefined_finding("common_scalar", 1, kCommonScalar, type_names(all_types),
                             "The scale c is undefined, because the base has a matrix of zeros in every type.");
  const double mean = mean_of(types, "scale_mean");
  double departure = 0;
  for (const Json& type : types) departure = std::max(departure, std::abs(number(type, "scale_mean") - mean));
  const bool shared = departure <= kCommonScalar && mean > kLeastScalar;
  const bool one = std::abs(mean - 1) <= 2e-4;
  std::string text;
  if (!shared) {
    text = fmt::format(
        "No common scalar: the best c of W_post ≈ c·W_base differs between types by up to {:.4f} from the mean {:.4f}.",
        departure, mean);
  } else if (one) {
    text = fmt::format("All types keep their scale: c = {:.5f} (training without weight decay leaves 1).", mean);
  } else {
    text = fmt::format(
        "One scalar c = {:.4f} ± {:.4f} explains the scaling of every type, as decoupled weight decay leaves "
        "it: exp(−wd·Σlr) with wd·Σlr = {:.2g}.",
        mean, departure, -std::log(mean));
    if (mean > 1)
      text = fmt::format(
          "One scalar c = {:.4f} ± {:.4f} explains the scaling of every type (weight decay would give less than 1).",
          mean, departure);
  }
  if (types.size() < all_types.size())
    text += fmt::format(" c is undefined for {}, because the base has a matrix of zeros there.",
                        joined(type_names(without(all_types, "scale_mean"))));
  return finding("common_scalar", shared ? "yes" : "no", mean, 1, kCommonScalar, kNaN, type_names(types), text);
}

Json w_o_anomaly(const std::vector<Json>& types) {
  std::vector<Json> others;
  const Json* w_o = nullptr;
  for (const Json& type : types) {
    if (type["type"] == "W_O") {
      w_o = &type;
    } else {
      others.push_back(type);
    }
  }
  if (w_o == nullptr || others.empty()) return nullptr;
  const double own = number(*w_o, "alpha_mean");
  others = with(others, "alpha_mean");
  if (std::isnan(own) || others.empty())
    return undefined_finding("w_o_anomaly", 0, kWoAnomaly, Json::array({"W_O"}),
                             fmt::format("Whether W_O stands out is undefined, because α is not defined for {}: the "
                                         "base lacks leading directions.",
                                         std::isnan(own) ? "it" : "any other type"));
  const double rest = mean_of(others, "alpha_mean");
  const bool found = own - rest > kWoAnomaly;
  const std::string text =
      found ? fmt::format(
                  "W_O stands out: its α is {:.4f} where the other types have {:.4f}, as the paper finds for "
                  "reasoning models.",
                  own, rest)
            : fmt::format("No W_O anomaly: its α is {:.4f}, the other types' {:.4f}.", own, rest);
  return finding("w_o_anomaly", found ? "yes" : "no", own - rest, 0, kWoAnomaly, kNaN, Json::array({"W_O"}), text);
}

Json co_rotation(const std::vector<Json>& types) {
  double co = 0, counter = 0, variance = 0;
  Json low = Json::array();
  for (const Json& type : types) {
    const double ratio = number(type, "counter_over_co"), sd = number(type, "counter_over_co_sd");
    if (std::isnan(ratio)) continue;
    const double s = number(type["energy"], "co_rotation") * number(type["energy"], "total");
    co += s;
    counter += ratio * s;
    variance += s * s * sd * sd;
    if (ratio < 1 - kCoRotation && ratio - 1 < -kSignificance * sd) low.push_back(type["type"]);
  }
  const double ratio = co > 0 ? counter / co : kNaN;
  const double sd = std::sqrt(variance) / co;
  const double z = (ratio - 1) / sd;
  const bool beyond = ratio < 1 - kCoRotation && z < -kSignificance;
  std::string text;
  if (std::isnan(ratio)) {
    text = "No residual change to test for co-rotation.";
  } else if (beyond) {
    text = fmt::format(
        "Both sides turn together more than chance: counter-rotation over co-rotation is {:.3f} (chance 1 ± {:.2g}, z "
        "= {:.0f}).",
        ratio, sd, z);
  } else if (!low.empty()) {
    text =
        fmt::format("Over all types no co-rotation beyond chance ({:.3f}, chance 1 ± {:.2g}), but {} do turn together.",
                    ratio, sd, joined(low));
  } else {
    text = fmt::format("No co-rotation beyond chance: counter-rotation over co-rotation is {:.3f} (chance 1 ± {:.2g}).",
                       ratio, sd);
  }
  const char* verdict = std::isnan(ratio) ? "undefined" : beyond ? "yes" : low.empty() ? "as_chance" : "some_types";
  return finding("co_rotation", verdict, ratio, 1, kCoRotation, z, std::move(low), text);
}

Json unrelated(const std::vector<Json>& rows, const std::vector<Json>& types) {
  std::vector<double> ratios;
  for (const Json& row : rows) ratios.push_back(number(row, "nf") / number(row, "nf_chance"));
  std::erase_if(ratios, [](double r) { return std::isnan(r); });
  if (ratios.empty())
    return undefined_finding(
        "unrelated", 1, kUnrelated, type_names(types),
        "Whether the two models are related is undefined, because NF is not defined for any matrix: each lacks "
        "directions in one of the two.");
  const auto above = std::count_if(ratios.begin(), ratios.end(), [](double r) { return r > kUnrelated; });
  const double share = static_cast<double>(above) / static_cast<double>(ratios.size());
  const double middle = median(ratios);
  const bool found = share > 0.5;
  const std::string text =
      found ? fmt::format("The two models are unrelated: NF is {:.2f} of what independent matrices give.", middle)
            : fmt::format("The two models are related: NF is {:.2g} of what independent matrices give.", middle);
  return finding("unrelated", found ? "yes" : "no", middle, 1, kUnrelated, kNaN, type_names(types), text);
}

Json low_rank_update(const std::vector<Json>& rows, const std::vector<Json>& types) {
  std::vector<double> ratios, ranks;
  for (const Json& row : rows) {
    const double m = std::max(number(row, "d_in"), number(row, "d_out")), n = number(row, "n");
    const double noise = m * n / std::pow(std::sqrt(m) + std::sqrt(n), 2);  // ‖G‖_F² / ‖G‖_2² of a gaussian matrix
    ratios.push_back(number(row, "stable_rank") / noise);
    ranks.push_back(number(row, "stable_rank"));
  }
  const double ratio = median(ratios);
  if (std::isnan(ratio))
    return undefined_finding("low_rank_update", 1, kLowRank, type_names(types),
                             "The rank of the update is undefined, because no matrix has changed.");
  const bool found = ratio < kLowRank;
  const std::string text =
      found ? fmt::format(
                  "The update is of low rank, as a LoRA leaves it: its median stable rank is {:.1f}, {:.1f} % of "
                  "noise's.",
                  median(ranks), 100 * ratio)
            : fmt::format("The update is not of low rank: its median stable rank is {:.1f}, {:.0f} % of noise's.",
                          median(ranks), 100 * ratio);
  return finding("low_rank_update", found ? "yes" : "no", ratio, 1, kLowRank, kNaN, type_names(types), text);
}

Json sparse_update(const std::vector<Json>& types) {
  const double share = mean_of(types, "unchanged");
  const bool found = share > kSparse;
  const std::string text =
      fmt::format("{} % of the weights are bit for bit the base's{}.", fmt::format("{:.3g}", 100 * share),
                  found ? ": a sparse update, as reinforcement learning at low precision leaves it" : "");
  return finding("sparse_update", found ? "yes" : "no", share, 0, kSparse, kNaN, type_names(types), text);
}

std::vector<Json> without_fused(const Json& items) {
  std::vector<Json> out;
  std::copy_if(items.begin(), items.end(), std::back_inserter(out),
               [](const Json& item) { return !item["fused"].get<bool>(); });
  return out;
}

}  // namespace

Json find_findings(const Json& all_rows, const Json& all_types) {
  const std::vector<Json> rows = without_fused(all_rows), types = without_fused(all_types);
  Json findings = Json::array();
  if (rows.empty()) return findings;
  for (Json f : {unrelated(rows, types), uniform_scaling(rows, types), common_scalar(types), w_o_anomaly(types),
                 co_rotation(types), low_rank_update(rows, types), sparse_update(types)}) {
    if (!f.is_null()) findings.push_back(std::move(f));
  }
  return findings;
}

}  // namespace gyro
