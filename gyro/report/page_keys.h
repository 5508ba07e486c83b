#pragma once

#include <array>

/// What the page gets of result.json: names of docs/result.schema.json (a test holds them against it), by the object
/// that has them. What a result of an older version lacks is null there; the page's scripts may ask for nothing else.
namespace gyro {

inline constexpr std::array kSiteKeys = {"layer", "type", "expert", "tensor", "slice",
                                         "fused", "d_in", "d_out",  "n",      "k"};
inline constexpr std::array kRowKeys = {"rank",
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
inline constexpr std::array kRowEnergyKeys = {"total",          "scaling",         "co_rotation", "counter_rotation",
                                              "leakage",        "counter_over_co", "z",           "symmetric_share",
                                              "symmetric_null", "symmetric_sd",    "symmetric_z", "rounding_ratio"};
inline constexpr std::array kRowNullKeys = {"valid", "alpha_mean", "alpha_std",    "alpha_method",
                                            "nf",    "nf_robust",  "nf_robust_sd", "sampled"};
inline constexpr std::array kTypeKeys = {"type",
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
inline constexpr std::array kTypeEnergyKeys = {"total", "scaling", "co_rotation", "counter_rotation", "leakage"};
inline constexpr std::array kTypeNullKeys = {"alpha_mean", "alpha_std", "nf_mean", "nf_robust_mean"};
inline constexpr std::array kSymmetryKeys = {"fitted", "symmetric_share", "symmetric_null", "symmetric_sd",
                                             "symmetric_z"};
inline constexpr std::array kSideKeys = {"input", "input_sd", "turn", "turn_sd", "stretch", "stretch_sd"};
inline constexpr std::array kVerdictKeys = {"uniform_scaling", "co_rotation"};
inline constexpr std::array kMarginKeys = {"uniform_scaling"};
inline constexpr std::array kFindingKeys = {"id", "verdict", "value", "null", "threshold", "z", "types", "text"};
inline constexpr std::array kFamilyKeys = {"matrices", "alpha_mean", "nf", "relative_change"};
inline constexpr std::array kSpreadKeys = {"alpha_mean", "nf", "relative_change"};
inline constexpr std::array kOutsideKeys = {"groups", "vocabulary", "base_head",        "post_head",
                                            "text",   "tensors",    "tensors_left_out", "tokens"};
inline constexpr std::array kOverlapKeys = {"changed_both", "cosine", "sign_agreement", "jaccard", "jaccard_chance"};
inline constexpr std::array kTrajectoryKeys = {"type", "figure", "at_base", "values", "half_way"};
inline constexpr std::array kModelKeys = {"id",     "path",       "revision", "architecture", "model_type",
                                          "layers", "parameters", "dtypes",   "sha256"};
inline constexpr std::array kProgramKeys = {"version", "build", "device"};
inline constexpr std::array kRunKeys = {"command", "date", "seconds", "commit"};
inline constexpr std::array kOptionKeys = {"layers", "types", "experts", "null_draws", "null_nf_draws", "seed"};

}  // namespace gyro
