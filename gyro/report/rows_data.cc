#include "gyro/report/rows_data.h"

#include <array>

#include "gyro/base/error.h"
#include "gyro/report/page_parts.h"
#include "gyro/report/quantities_data.h"

namespace gyro {
namespace {

constexpr std::array kSiteKeys = {"layer", "type", "expert", "tensor", "slice", "fused", "d_in", "d_out", "n", "k"};
constexpr std::array kRowKeys = {"rank",
                                 "method",
                                 "flags",
                                 "alpha_mean",
                                 "alpha_std",
                                 "alpha_error",
                                 "nf",
                                 "nf_error",
                                 "nf_robust",
                                 "nf_robust_error",
                                 "nf_chance",
                                 "nf_robust_chance",
                                 "scale",
                                 "scale_sd",
                                 "relative_change",
                                 "cosine",
                                 "polar_inner",
                                 "q1_orthogonality",
                                 "q2_orthogonality",
                                 "unchanged",
                                 "sparse_expected",
                                 "stable_rank",
                                 "update_rank",
                                 "rounding_over_residual",
                                 "zero_rows"};
constexpr std::array kRowEnergyKeys = {"total",          "scaling",         "co_rotation", "counter_rotation",
                                       "leakage",        "counter_over_co", "z",           "symmetric_share",
                                       "symmetric_null", "symmetric_sd",    "symmetric_z", "rounding_ratio"};
constexpr std::array kRowNullKeys = {"valid", "alpha_mean", "alpha_std",    "alpha_method",
                                     "nf",    "nf_robust",  "nf_robust_sd", "sampled"};
constexpr std::array kTypeKeys = {"type",
                                  "layers",
                                  "fused",
                                  "alpha_mean",
                                  "alpha_std",
                                  "alpha_prime",
                                  "nf_mean",
                                  "nf_max",
                                  "nf_chance",
                                  "nf_robust_mean",
                                  "counter_over_co",
                                  "counter_over_co_sd",
                                  "z",
                                  "symmetric_share",
                                  "symmetric_null",
                                  "symmetric_sd",
                                  "symmetric_z",
                                  "rounding_ratio",
                                  "scale_mean",
                                  "scale_sd",
                                  "relative_change_mean",
                                  "unchanged",
                                  "sparse_expected",
                                  "update_rank",
                                  "k_eff",
                                  "alpha_mean_over_null",
                                  "alpha_std_over_null",
                                  "nf_mean_over_null",
                                  "nf_robust_mean_over_null",
                                  "alpha_layers",
                                  "nf_layers",
                                  "untouched"};
constexpr std::array kTypeEnergyKeys = {"total", "scaling", "co_rotation", "counter_rotation", "leakage"};
constexpr std::array kTypeNullKeys = {"alpha_mean", "alpha_std", "nf_mean", "nf_robust_mean"};
constexpr std::array kSymmetryKeys = {"fitted", "symmetric_share", "symmetric_null", "symmetric_sd", "symmetric_z"};
constexpr std::array kSideKeys = {"input", "input_sd", "turn", "turn_sd", "stretch", "stretch_sd"};
constexpr std::array kVerdictKeys = {"uniform_scaling", "co_rotation"};
constexpr std::array kMarginKeys = {"uniform_scaling"};
constexpr std::array kFindingKeys = {"id", "verdict", "value", "null", "threshold", "z", "types", "text"};
constexpr std::array kFamilyKeys = {"matrices", "alpha_mean", "nf", "relative_change"};
constexpr std::array kOutsideKeys = {"groups", "vocabulary", "base_head",        "post_head",
                                     "text",   "tensors",    "tensors_left_out", "tokens"};

// A list of objects as an object of lists.
template <typename Keys>
void add_columns(const Json& rows, const char* group, const Keys& keys, Json& columns) {
  for (const char* key : keys) {
    Json column = Json::array();
    for (const Json& row : rows) column.push_back(member(group[0] == '\0' ? row : row[group], key));
    columns[group[0] == '\0' ? key : fmt::format("{}.{}", group, key)] = std::move(column);
  }
}

}  // namespace

Json site_columns(const Json& matrices) {
  Json columns = Json::object();
  add_columns(matrices, "", kSiteKeys, columns);
  return columns;
}

Json row_columns(const Json& rows) {
  Json columns = Json::object();
  add_columns(rows, "", kRowKeys, columns);
  add_columns(rows, "energy", kRowEnergyKeys, columns);
  add_columns(rows, "null", kRowNullKeys, columns);
  columns.update(quantity_columns(rows));
  return columns;
}

Json type_rows(const Json& types) {
  Json rows = Json::array();
  for (const Json& type : types) {
    Json& row = rows.emplace_back(picked(type, kTypeKeys));
    row["energy"] = picked(member(type, "energy"), kTypeEnergyKeys);
    row["null"] = picked(member(type, "null"), kTypeNullKeys);
    row["rescaled"] = picked(member(type, "rescaled"), kSymmetryKeys);
    row["side"] = picked(member(type, "side"), kSideKeys);
    const Json experts = member(type, "experts");
    row["experts"] = experts.is_object() ? picked(experts, kFamilyKeys) : Json();
    row["verdicts"] = picked(member(type, "verdicts"), kVerdictKeys);
    row["margins"] = picked(member(type, "margins"), kMarginKeys);
    row["quantities"] = type_quantities(type);
  }
  return rows;
}

Json finding_rows(const Json& findings) {
  Json rows = Json::array();
  for (const Json& finding : findings) rows.push_back(picked(finding, kFindingKeys));
  return rows;
}

Json outside_of(const Json& document) {
  const Json outside = member(document, "outside");
  return outside.is_object() ? picked(outside, kOutsideKeys) : Json();
}

}  // namespace gyro
