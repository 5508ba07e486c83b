#include "gyro/diff/findings.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace gyro {
namespace {

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

using Rows = std::vector<MatrixRow>;
using Types = std::vector<TypeRow>;
using Names = std::vector<MatrixType>;

double finite(double value) {
  return std::isfinite(value) ? value : kUndefined;
}

Finding finding(FindingId id, Verdict verdict, double value, double null, double threshold, double z, Names types,
                std::string text) {
  return {id, verdict, finite(value), finite(null), threshold, finite(z), std::move(types), std::move(text)};
}

// What cannot be said, and why not.
Finding undefined(FindingId id, double null, double threshold, Names types, std::string why) {
  return finding(id, Verdict::Undefined, kUndefined, null, threshold, kUndefined, std::move(types), std::move(why));
}

double median(std::vector<double> values) {
  std::erase_if(values, [](double x) { return std::isnan(x); });
  if (values.empty()) return kUndefined;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

Names names_of(const Types& types) {
  Names names;
  for (const TypeRow& type : types) names.push_back(type.type);
  return names;
}

std::string joined(const Names& names) {
  std::string out;
  for (const MatrixType name : names) out += (out.empty() ? "" : ", ") + std::string(type_name(name));
  return out;
}

double mean_of(const Types& types, double TypeRow::*member) {
  double sum = 0;
  for (const TypeRow& type : types) sum += type.*member;
  return sum / static_cast<double>(types.size());
}

// The types of which it is defined, and those of which it is not.
Types with(Types types, double TypeRow::*member) {
  std::erase_if(types, [&](const TypeRow& type) { return std::isnan(type.*member); });
  return types;
}
Types without(Types types, double TypeRow::*member) {
  std::erase_if(types, [&](const TypeRow& type) { return !std::isnan(type.*member); });
  return types;
}

template <typename Alpha>
double relative_spread(const Alpha& of) {
  return of.alpha_std / of.alpha_mean;
}

// How far below 1 a type's spread over its null's must be. Both are deviations of about Σ k samples, right to a
// relative 1/√(2 Σ k) each (one draw): small models need a wider margin than kRatioMargin.
double uniformity_margin(const Rows& rows, MatrixType type) {
  double samples = 0;
  for (const MatrixRow& row : rows) samples += row.type == type ? static_cast<double>(row.k) : 0;
  return std::max(kRatioMargin, kSignificance / std::sqrt(samples));
}

// Each type against its own null: one type that spreads less than chance says nothing of another.
Finding uniform_scaling(const Rows& rows, const Types& types) {
  double spread = 0, null = kUndefined;
  bool defined = true, drawn = true;
  Names even;
  for (const TypeRow& type : types) {
    const double own = relative_spread(type), chance = relative_spread(type.null);
    defined = defined && !std::isnan(own);
    drawn = drawn && !std::isnan(chance);
    if (own < (1 - uniformity_margin(rows, type.type)) * chance) even.push_back(type.type);
    if (own >= spread) {
      spread = own;
      null = chance;
    }
  }
  if (!defined)
    return finding(FindingId::UniformScaling, Verdict::Undefined, kUndefined, kUndefined, kUniformSpread, kUndefined,
                   names_of(types), "α is not defined for some matrices: the base lacks leading directions.");
  if (spread >= kUniformSpread)
    return finding(
        FindingId::UniformScaling, Verdict::No, spread, null, kUniformSpread, kUndefined, names_of(types),
        fmt::format("Singular values do not scale uniformly: within a type α spreads by up to {:.2g} % of its mean.",
                    100 * spread));
  std::string text = fmt::format(
      "Singular values scale near-uniformly: within a type α spreads by at most {:.2g} % of its mean", 100 * spread);
  if (!drawn)
    return finding(FindingId::UniformScaling, Verdict::Unclear, spread, null, kUniformSpread, kUndefined,
                   names_of(types), text + "; without draws of the null it stays open what chance would give.");
  text += fmt::format(" (a structureless change of the same size: {:.2g} %)", 100 * null);
  const Verdict verdict = even.size() == types.size() ? Verdict::Yes
                          : even.empty()              ? Verdict::AsChance
                                                      : Verdict::SomeTypes;
  text += even.size() == types.size() ? ", in every type less than chance gives."
          : even.empty()              ? "; that is as chance gives and no evidence of structure."
                         : fmt::format("; less than chance gives in {}, as chance in the others.", joined(even));
  return finding(FindingId::UniformScaling, verdict, spread, null, kUniformSpread, kUndefined,
                 even.empty() ? names_of(types) : std::move(even), text);
}

Finding common_scalar(const Types& all_types) {
  const Types types = with(all_types, &TypeRow::scale_mean);
  if (types.empty())
    return undefined(FindingId::CommonScalar, 1, kCommonScalar, names_of(all_types),
                     "The scale c is undefined, because the base has a matrix of zeros in every type.");
  const double mean = mean_of(types, &TypeRow::scale_mean);
  double departure = 0;
  for (const TypeRow& type : types) departure = std::max(departure, std::abs(type.scale_mean - mean));
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
                        joined(names_of(without(all_types, &TypeRow::scale_mean))));
  return finding(FindingId::CommonScalar, shared ? Verdict::Yes : Verdict::No, mean, 1, kCommonScalar, kUndefined,
                 names_of(types), text);
}

// Nothing where there is no W_O, or nothing else.
std::optional<Finding> w_o_anomaly(const Types& types) {
  Types others;
  const TypeRow* w_o = nullptr;
  for (const TypeRow& type : types) {
    if (type.type == MatrixType::O) {
      w_o = &type;
    } else {
      others.push_back(type);
    }
  }
  if (w_o == nullptr || others.empty()) return std::nullopt;
  const double own = w_o->alpha_mean;
  others = with(others, &TypeRow::alpha_mean);
  if (std::isnan(own) || others.empty())
    return undefined(FindingId::WoAnomaly, 0, kWoAnomaly, {MatrixType::O},
                     fmt::format("Whether W_O stands out is undefined, because α is not defined for {}: the "
                                 "base lacks leading directions.",
                                 std::isnan(own) ? "it" : "any other type"));
  const double rest = mean_of(others, &TypeRow::alpha_mean);
  const bool found = own - rest > kWoAnomaly;
  const std::string text =
      found ? fmt::format(
                  "W_O stands out: its α is {:.4f} where the other types have {:.4f}, as the paper finds for "
                  "reasoning models.",
                  own, rest)
            : fmt::format("No W_O anomaly: its α is {:.4f}, the other types' {:.4f}.", own, rest);
  return finding(FindingId::WoAnomaly, found ? Verdict::Yes : Verdict::No, own - rest, 0, kWoAnomaly, kUndefined,
                 {MatrixType::O}, text);
}

Finding co_rotation(const Types& types) {
  double co = 0, counter = 0, variance = 0;
  Names low;
  for (const TypeRow& type : types) {
    const double ratio = type.counter_over_co, sd = type.counter_over_co_sd;
    if (std::isnan(ratio)) continue;
    const double s = type.energy.co_rotation * type.energy.total;
    co += s;
    counter += ratio * s;
    variance += s * s * sd * sd;
    if (ratio < 1 - kCoRotation && ratio - 1 < -kSignificance * sd) low.push_back(type.type);
  }
  const double ratio = co > 0 ? counter / co : kUndefined;
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
  const Verdict verdict = std::isnan(ratio) ? Verdict::Undefined
                          : beyond          ? Verdict::Yes
                          : low.empty()     ? Verdict::AsChance
                                            : Verdict::SomeTypes;
  return finding(FindingId::CoRotation, verdict, ratio, 1, kCoRotation, z, std::move(low), text);
}

Finding unrelated(const Rows& rows, const Types& types) {
  std::vector<double> ratios;
  for (const MatrixRow& row : rows) ratios.push_back(row.nf / row.nf_chance);
  std::erase_if(ratios, [](double r) { return std::isnan(r); });
  if (ratios.empty())
    return undefined(
        FindingId::Unrelated, 1, kUnrelated, names_of(types),
        "Whether the two models are related is undefined, because NF is not defined for any matrix: each lacks "
        "directions in one of the two.");
  const auto above = std::count_if(ratios.begin(), ratios.end(), [](double r) { return r > kUnrelated; });
  const double share = static_cast<double>(above) / static_cast<double>(ratios.size());
  const double middle = median(ratios);
  const bool found = share > 0.5;
  const std::string text =
      found ? fmt::format("The two models are unrelated: NF is {:.2f} of what independent matrices give.", middle)
            : fmt::format("The two models are related: NF is {:.2g} of what independent matrices give.", middle);
  return finding(FindingId::Unrelated, found ? Verdict::Yes : Verdict::No, middle, 1, kUnrelated, kUndefined,
                 names_of(types), text);
}

Finding low_rank_update(const Rows& rows, const Types& types) {
  std::vector<double> ratios, ranks;
  for (const MatrixRow& row : rows) {
    const auto m = static_cast<double>(std::max(row.d_in, row.d_out)), n = static_cast<double>(row.n);
    const double noise = m * n / std::pow(std::sqrt(m) + std::sqrt(n), 2);  // ‖G‖_F² / ‖G‖_2² of a gaussian matrix
    ratios.push_back(row.stable_rank / noise);
    ranks.push_back(row.stable_rank);
  }
  const double ratio = median(ratios);
  if (std::isnan(ratio))
    return undefined(FindingId::LowRankUpdate, 1, kLowRank, names_of(types),
                     "The rank of the update is undefined, because no matrix has changed.");
  const bool found = ratio < kLowRank;
  const std::string text =
      found ? fmt::format(
                  "The update is of low rank, as a LoRA leaves it: its median stable rank is {:.1f}, {:.1f} % of "
                  "noise's.",
                  median(ranks), 100 * ratio)
            : fmt::format("The update is not of low rank: its median stable rank is {:.1f}, {:.0f} % of noise's.",
                          median(ranks), 100 * ratio);
  return finding(FindingId::LowRankUpdate, found ? Verdict::Yes : Verdict::No, ratio, 1, kLowRank, kUndefined,
                 names_of(types), text);
}

Finding sparse_update(const Types& types) {
  const double share = mean_of(types, &TypeRow::unchanged);
  const bool found = share > kSparse;
  const std::string text =
      fmt::format("{} % of the weights are bit for bit the base's{}.", fmt::format("{:.3g}", 100 * share),
                  found ? ": a sparse update, as reinforcement learning at low precision leaves it" : "");
  return finding(FindingId::SparseUpdate, found ? Verdict::Yes : Verdict::No, share, 0, kSparse, kUndefined,
                 names_of(types), text);
}

template <typename Row>
std::vector<Row> without_fused(std::vector<Row> rows) {
  std::erase_if(rows, [](const Row& row) { return type_is_fused(row.type); });
  return rows;
}

}  // namespace

std::vector<Finding> find_findings(const Rows& all_rows, const Types& all_types) {
  const Rows rows = without_fused(all_rows);
  const Types types = without_fused(all_types);
  std::vector<Finding> findings;
  if (rows.empty()) return findings;
  for (std::optional<Finding> f :
       {std::optional(unrelated(rows, types)), std::optional(uniform_scaling(rows, types)),
        std::optional(common_scalar(types)), w_o_anomaly(types), std::optional(co_rotation(types)),
        std::optional(low_rank_update(rows, types)), std::optional(sparse_update(types))}) {
    if (f) findings.push_back(std::move(*f));
  }
  return findings;
}

}  // namespace gyro
