#include "gyro/diff/result.h"

#include <gtest/gtest.h>

#include <cmath>

#include "gyro/diff/findings.h"
#include "gyro/diff/result_json.h"
#include "gyro/diff/test_util.h"

namespace gyro {
namespace {

MatrixSite site_of(int64_t layer, MatrixType type, int64_t d_in, int64_t d_out) {
  return {.layer = layer, .type = type, .tensor = "t", .row_begin = 0, .row_end = d_out, .d_in = d_in, .d_out = d_out};
}

PairMeasure measured(int64_t d_in, int64_t d_out, uint64_t seed, const PairOptions& options = {}) {
  const Matrix base = gaussian(d_in, d_out, seed);
  return compare(base, combined(0.95, base, 0.05, gaussian(d_in, d_out, seed + 1)), options);
}

Json json_of(const MatrixSite& site, const PairMeasure& measure) {
  return to_json(matrix_row(site, measure));
}

// Every key that design §4 promises, no other, and in its order.
TEST(MatrixRow, HasTheContractsKeys) {
  const Json row = json_of(site_of(3, MatrixType::Gate, 12, 20), measured(12, 20, 1, {.null_nf_draws = 2}));
  std::vector<std::string> keys;
  for (const auto& [key, value] : row.items()) keys.push_back(key);
  const std::vector<std::string> expected = {"layer",
                                             "type",
                                             "tensor",
                                             "slice",
                                             "fused",
                                             "d_in",
                                             "d_out",
                                             "n",
                                             "k",
                                             "rank",
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
                                             "relative_change",
                                             "cosine",
                                             "polar_inner",
                                             "q1_orthogonality",
                                             "q2_orthogonality",
                                             "energy",
                                             "unchanged",
                                             "sparse_expected",
                                             "stable_rank",
                                             "update_rank",
                                             "rounding_over_residual",
                                             "scale_sd",
                                             "k_eff",
                                             "first_order_variance",
                                             "null",
                                             "quantities"};
  EXPECT_EQ(keys, expected);
  for (const char* key : {"scaling", "co_rotation", "counter_rotation", "leakage", "counter_over_co", "z"}) {
    EXPECT_TRUE(row["energy"][key].is_number()) << key;
  }
  for (const char* key : {"alpha_mean", "alpha_std", "nf", "nf_robust", "nf_robust_sd"}) {
    EXPECT_TRUE(row["null"][key].is_number()) << key;
  }
  for (const char* key : {"draws", "seed", "nf", "nf_sd"}) EXPECT_TRUE(row["null"]["sampled"][key].is_number()) << key;
  EXPECT_EQ(row["type"], "W_gate");
  EXPECT_EQ(row["layer"], 3);
  EXPECT_EQ(row["method"], "gram");
  EXPECT_EQ(row["d_in"], 12);
  EXPECT_EQ(row["d_out"], 20);
  EXPECT_TRUE(row["slice"].is_null());
  EXPECT_TRUE(row["null"]["valid"].is_boolean());
}

TEST(MatrixRow, NumbersAreTheMeasures) {
  const PairMeasure m = measured(12, 20, 2);
  const Json row = json_of(site_of(0, MatrixType::Up, 12, 20), m);
  EXPECT_EQ(row["nf"].get<double>(), m.nf);
  EXPECT_EQ(row["alpha_std"].get<double>(), m.alpha_std);
  EXPECT_EQ(row["alpha_error"].get<double>(), m.alpha_error);
  EXPECT_EQ(row["polar_inner"].get<double>(), m.polar_inner);
  const Json& energy = row["energy"];
  EXPECT_EQ(energy["scaling"].get<double>(), m.energy.scaling / m.energy.total);
  EXPECT_EQ(energy["leakage"].get<double>(), m.energy.leakage() / m.energy.total);
  const double ratio = m.energy.counter_rotation / m.energy.co_rotation;
  EXPECT_DOUBLE_EQ(energy["counter_over_co"].get<double>(), ratio);
  EXPECT_DOUBLE_EQ(energy["z"].get<double>(), (ratio - 1) / std::sqrt(8.0 / (12 * 11)));
  EXPECT_EQ(row["rounding_over_residual"].get<double>(), m.rounding_norm / std::sqrt(m.energy.total));
}

TEST(MatrixRow, SlicesAndFusedTypes) {
  MatrixSite site = site_of(0, MatrixType::K, 8, 4);
  site.sliced = true;
  site.row_begin = 16;
  site.row_end = 20;
  EXPECT_EQ(json_of(site, measured(8, 4, 3))["slice"], (Json{16, 20}));
  EXPECT_FALSE(json_of(site, measured(8, 4, 3))["fused"].get<bool>());
  EXPECT_TRUE(json_of(site_of(0, MatrixType::QKV, 8, 4), measured(8, 4, 3))["fused"].get<bool>());
}

/// No number of the document may be NaN or infinite, not even in memory: it would read back as null.
void expect_finite(const Json& value, const std::string& where) {
  if (value.is_number_float()) {
    EXPECT_TRUE(std::isfinite(value.get<double>())) << where;
  }
  if (!value.is_structured()) return;
  for (const auto& [key, inner] : value.items()) expect_finite(inner, where + "." + key);
}

TEST(MatrixRow, WhatIsNotValidIsNull) {
  const Matrix zero = Matrix::zeros(6, 4), some = gaussian(6, 4, 4), twice = combined(2, some, 0, some);
  Matrix deficient = some.clone();
  for (int64_t i = 0; i < 6; ++i) deficient(i, 3) = deficient(i, 2);
  const std::pair<const Matrix*, const Matrix*> pairs[] = {{&zero, &some},     {&some, &zero},  {&zero, &zero},
                                                           {&some, &some},     {&some, &twice}, {&deficient, &some},
                                                           {&some, &deficient}};
  std::vector<MatrixRow> rows;
  for (const auto& [base, post] : pairs) {
    rows.push_back(matrix_row(site_of(0, MatrixType::V, 6, 4), compare(*base, *post)));
    const Json json = to_json(rows.back());
    expect_finite(json, "row");
    EXPECT_EQ(Json::parse(json.dump()), json);
  }
  const auto undefined = [](double value) { return std::isnan(value); };
  EXPECT_TRUE(undefined(rows[0].nf) && undefined(rows[0].alpha_mean) && undefined(rows[0].scale));
  EXPECT_TRUE(undefined(rows[0].null.nf) && !rows[0].null.alpha_method && !rows[0].null.valid);
  EXPECT_TRUE(to_json(rows[0])["nf"].is_null() && to_json(rows[0])["null"]["alpha_method"].is_null());
  EXPECT_TRUE(undefined(rows[3].stable_rank));
  EXPECT_TRUE(undefined(rows[4].energy.counter_over_co) && undefined(rows[4].energy.scaling));
  EXPECT_TRUE(undefined(rows[5].nf));
  Comparison comparison{.matrices = rows, .types = pool_types(rows)};
  judge({}, comparison);
  for (const TypeRow& type : comparison.types) expect_finite(to_json(type), "type");
  for (const Finding& finding : comparison.findings) {
    expect_finite(to_json(finding), "finding");
    EXPECT_FALSE(finding.text.find("nan") != finding.text.npos) << finding.text;
  }
}

TEST(MatrixRow, NullMethodOfAlpha) {
  PairMeasure m = measured(12, 20, 5);
  m.null.alpha_valid = true;
  EXPECT_EQ(json_of(site_of(0, MatrixType::Up, 12, 20), m)["null"]["alpha_method"], "closed_form");
  m.null.alpha_valid = false;
  const Json sampled = json_of(site_of(0, MatrixType::Up, 12, 20), m)["null"];
  EXPECT_EQ(sampled["alpha_method"], "sampled");
  EXPECT_EQ(sampled["alpha_std"].get<double>(), m.sampled->alpha_std);
  m.sampled.reset();
  const Json nothing = json_of(site_of(0, MatrixType::Up, 12, 20), m)["null"];
  EXPECT_TRUE(nothing["alpha_method"].is_null() && nothing["alpha_std"].is_null() && nothing["sampled"].is_null());
}

std::vector<MatrixRow> two_layers() {
  std::vector<MatrixRow> rows;
  for (int64_t layer = 0; layer < 2; ++layer) {
    const auto seed = static_cast<uint64_t>(10 * layer);
    rows.push_back(matrix_row(site_of(layer, MatrixType::Down, 20, 12), measured(20, 12, seed)));
    rows.push_back(matrix_row(site_of(layer, MatrixType::Q, 12, 12), measured(12, 12, seed + 5)));
    rows.push_back(matrix_row(site_of(layer, MatrixType::QKV, 12, 30), measured(12, 30, seed + 7)));
  }
  return rows;
}

TEST(PoolTypes, OneRowATypeInTheTablesOrder) {
  const std::vector<TypeRow> types = pool_types(two_layers());
  ASSERT_EQ(types.size(), 3u);
  EXPECT_EQ(types[0].type, MatrixType::Q);
  EXPECT_EQ(types[1].type, MatrixType::Down);
  EXPECT_EQ(types[2].type, MatrixType::QKV);
  EXPECT_TRUE(to_json(types[2])["fused"].get<bool>());
  EXPECT_FALSE(to_json(types[0])["fused"].get<bool>());
  for (const TypeRow& type : types) EXPECT_EQ(type.layers, 2);
}

TEST(PoolTypes, PoolsOverLayers) {
  const std::vector<MatrixRow> rows = two_layers();
  const TypeRow type = pool_types(rows)[1];
  const MatrixRow &a = rows[0], &b = rows[3];
  // k values each: the pooled deviation is √(mean of squares − square of the mean).
  const double mean = (a.alpha_mean + b.alpha_mean) / 2;
  double square = 0, null_square = 0, null_mean = 0;
  for (const MatrixRow* row : {&a, &b}) {
    square += (std::pow(row->alpha_mean, 2) + std::pow(row->alpha_std, 2)) / 2;
    null_mean += row->null.alpha_mean / 2;
    null_square += (std::pow(row->null.alpha_mean, 2) + std::pow(row->null.alpha_std, 2)) / 2;
  }
  EXPECT_NEAR(type.alpha_mean, mean, 1e-14);
  EXPECT_NEAR(type.alpha_std, std::sqrt(square - mean * mean), 1e-12);
  EXPECT_DOUBLE_EQ(type.alpha_prime, std::round(10 * mean) / 10);
  EXPECT_NEAR(type.nf_mean, (a.nf + b.nf) / 2, 1e-15);
  EXPECT_EQ(type.nf_max, std::max(a.nf, b.nf));
  EXPECT_NEAR(type.nf_robust_mean, (a.nf_robust + b.nf_robust) / 2, 1e-15);
  EXPECT_NEAR(type.scale_mean, (a.scale + b.scale) / 2, 1e-15);
  EXPECT_NEAR(type.relative_change_mean, (a.relative_change + b.relative_change) / 2, 1e-15);
  const double null_nf = (a.null.nf + b.null.nf) / 2;
  EXPECT_NEAR(type.null.nf_mean, null_nf, 1e-15);
  EXPECT_NEAR(type.nf_mean_over_null, type.nf_mean / null_nf, 1e-13);
  EXPECT_NEAR(type.null.alpha_std, std::sqrt(null_square - null_mean * null_mean), 1e-12);
  EXPECT_NEAR(type.alpha_std_over_null, type.alpha_std / type.null.alpha_std, 1e-12);
}

TEST(PoolTypes, CounterOverCoIsARatioOfSummedEnergies) {
  const std::vector<MatrixRow> rows = two_layers();
  const TypeRow type = pool_types(rows)[1];
  double counter = 0, co = 0, total = 0, variance = 0;
  for (const MatrixRow* row : {&rows[0], &rows[3]}) {
    const RowEnergy& e = row->energy;
    const double size = e.total, s = size * e.co_rotation;
    counter += size * e.counter_rotation;
    co += s;
    total += size;
    variance += s * s * 8 / (12.0 * 11);
  }
  EXPECT_NEAR(type.counter_over_co, counter / co, 1e-13);
  EXPECT_NEAR(type.counter_over_co_sd, std::sqrt(variance) / co, 1e-13);
  EXPECT_NEAR(type.z, (counter / co - 1) * co / std::sqrt(variance), 1e-11);
  EXPECT_NEAR(type.energy.co_rotation, co / total, 1e-13);
}

// T and N are summed, and their variances.
TEST(PoolTypes, SymmetryIsOfSummedEnergies) {
  const std::vector<MatrixRow> rows = two_layers();
  const TypeRow type = pool_types(rows)[1];
  double n = 0, t = 0, null = 0, variance = 0, input = 0, turn_variance = 0, rounding = 0;
  double rest = 0, rest_t = 0, total = 0, fitted = 0;
  for (const MatrixRow* row : {&rows[0], &rows[3]}) {
    const RowEnergy& e = row->energy;
    const double off = e.total * (e.co_rotation + e.counter_rotation);
    n += off;
    t += e.total * (e.co_rotation - e.counter_rotation);
    EXPECT_NEAR(e.symmetric_share, (e.co_rotation - e.counter_rotation) / (e.co_rotation + e.counter_rotation), 1e-12);
    EXPECT_NEAR(e.symmetric_z, -(e.symmetric_share - e.symmetric_null) / e.symmetric_sd, 1e-12);
    null += e.symmetric_null * off;
    variance += std::pow(e.symmetric_sd * off, 2);
    input += e.side.input * off;
    turn_variance += std::pow(e.side.turn_sd * off, 2);
    const double stored = std::pow(row->rounding_over_residual, 2) * e.total;
    EXPECT_NEAR(e.rounding_ratio, off / (stored * 11 / 20), 1e-9 * e.rounding_ratio);
    rounding += stored * 11 / 20;
    rest += e.rescaled.off_diagonal * e.total;
    rest_t += e.rescaled.off_diagonal * e.total * e.rescaled.symmetric_share;
    total += e.total;
    fitted += e.total * e.rescaled.fitted;
  }
  EXPECT_NEAR(type.symmetric_share, t / n, 1e-12);
  EXPECT_NEAR(type.symmetric_null, null / n, 1e-12);
  EXPECT_NEAR(type.symmetric_sd, std::sqrt(variance) / n, 1e-12);
  EXPECT_NEAR(type.symmetric_z, -(t - null) / std::sqrt(variance), 1e-9);
  EXPECT_NEAR(type.side.input, input / n, 1e-12);
  EXPECT_NEAR(type.side.turn_sd, std::sqrt(turn_variance) / n, 1e-12);
  EXPECT_NEAR(type.rounding_ratio, n / rounding, 1e-9 * type.rounding_ratio);
  EXPECT_NEAR(type.rescaled.symmetric_share, rest_t / rest, 1e-12);
  EXPECT_NEAR(type.rescaled.fitted, fitted / total, 1e-12);
}

TEST(PoolTypes, CountsWhatADeviationRestsOn) {
  const std::vector<MatrixRow> rows = two_layers();
  const TypeRow type = pool_types(rows)[1];
  double second = 0, fourth = 0;
  for (const MatrixRow* row : {&rows[0], &rows[3]}) {
    const double sum = static_cast<double>(row->k) * row->first_order_variance;
    second += sum;
    fourth += sum * sum / row->k_eff;
    EXPECT_LE(row->k_eff, static_cast<double>(row->k));
  }
  EXPECT_NEAR(type.k_eff, second * second / fourth, 1e-9);
  EXPECT_NEAR(type.scale_sd, std::hypot(rows[0].scale_sd, rows[3].scale_sd) / 2, 1e-15);
  EXPECT_NEAR(type.sparse_expected, (rows[0].sparse_expected + rows[3].sparse_expected) / 2, 1e-15);
  EXPECT_EQ(type.update_rank, std::max(rows[0].update_rank, rows[3].update_rank));
}

// A layer in which the fit was not asked for counts in neither sum of what it leaves.
TEST(PoolTypes, RescaledIsOfTheLayersThatHaveIt) {
  std::vector<MatrixRow> rows = two_layers();
  rows[3].energy.rescaled = {};
  const RescaledShare pooled = pool_types(rows)[1].rescaled, alone = rows[0].energy.rescaled;
  EXPECT_NEAR(pooled.symmetric_share, alone.symmetric_share, 1e-12);
  EXPECT_NEAR(pooled.off_diagonal, alone.off_diagonal, 1e-12);
  EXPECT_NEAR(pooled.symmetric_z, alone.symmetric_z, 1e-9);
}

TEST(PoolTypes, AnInvalidLayerMakesTheRatioNull) {
  std::vector<MatrixRow> rows = two_layers();
  rows[3].null.valid = false;
  const TypeRow type = pool_types(rows)[1];
  EXPECT_TRUE(std::isnan(type.nf_mean_over_null));
  EXPECT_TRUE(std::isnan(type.nf_robust_mean_over_null));
  EXPECT_TRUE(std::isfinite(type.nf_mean));
}

TEST(ShortName, TakesLastParts) {
  EXPECT_EQ(short_name("a/b/c"), "c");
  EXPECT_EQ(short_name("a/b//"), "b");
  EXPECT_EQ(short_name("a/b/c", 2), "b/c");
  EXPECT_EQ(short_name("a/b/c", 9), "a/b/c");
  EXPECT_EQ(short_name("/a"), "a");
  EXPECT_EQ(short_name("/a", 2), "/a");
  EXPECT_EQ(short_name("/"), "/");
  EXPECT_EQ(short_name("", 3), "");
}

TEST(ShortNames, AreTheShortestThatTellIdsApart) {
  using Names = std::vector<std::string>;
  EXPECT_EQ(short_names({"runs/sft/final", "runs/dpo/final", "x/base"}), (Names{"sft/final", "dpo/final", "base"}));
  EXPECT_EQ(short_names({"a/b/c", "x/b/c"}), (Names{"a/b/c", "x/b/c"}));
  EXPECT_EQ(short_names({"a/b", "a/b"}), (Names{"b", "b"}));
  std::vector<Comparison> comparisons(3);
  comparisons[0].post.id = "runs/sft/final";
  comparisons[1].post.id = "runs/dpo/final";
  comparisons[2].post.id = "noise (sft/final)";
  comparisons[2].noise_of = "runs/sft/final";
  EXPECT_EQ(model_names(comparisons), (Names{"sft/final", "dpo/final", "noise (sft/final)"}));
}

MatrixRow member(int64_t layer, std::optional<int64_t> expert, double alpha, double nf) {
  MatrixRow row{.layer = layer, .type = MatrixType::Up, .expert = expert, .n = 4, .k = 3};
  row.alpha_mean = alpha;
  row.alpha_std = 0.1;
  row.nf = row.nf_robust = nf;
  row.nf_chance = 0.5;
  row.null = {.valid = !std::isnan(nf), .alpha_mean = 1, .alpha_std = 0.1, .nf = std::isnan(nf) ? kUndefined : 0.02};
  return row;
}

TEST(PoolTypes, WhatSomeLackIsPooledOverTheOthers) {
  const TypeRow type =
      pool_types({member(0, {}, 0.9, kUndefined), member(1, {}, 1.1, 0.02), member(2, {}, kUndefined, 0.04)})[0];
  EXPECT_EQ(type.layers, 3);
  EXPECT_EQ(type.alpha_layers, 2);
  EXPECT_EQ(type.nf_layers, 2);
  EXPECT_NEAR(type.alpha_mean, 1.0, 1e-15);
  EXPECT_NEAR(type.nf_mean, 0.03, 1e-15);
  EXPECT_NEAR(type.nf_mean_over_null, 1.5, 1e-12);
  EXPECT_FALSE(type.experts);
  std::vector<MatrixRow> rows = {member(0, {}, 1, 0.1), member(1, {}, 1, 0.1), member(2, {}, kUndefined, kUndefined)};
  for (size_t i = 0; i < 2; ++i) {
    rows[i].scale = 1.5;
    rows[i].relative_change = 0.25 + 0.5 * static_cast<double>(i);
  }
  rows[2].scale = rows[2].scale_sd = rows[2].relative_change = kUndefined;  // of a base that is zero
  const TypeRow others = pool_types(rows)[0];
  EXPECT_EQ(others.scale_mean, 1.5);
  EXPECT_EQ(others.relative_change_mean, 0.5);
}

TEST(PoolTypes, ExpertsSpread) {
  std::vector<MatrixRow> rows;
  for (int64_t expert = 0; expert < 11; ++expert)
    rows.push_back(member(expert / 6, expert, 1 + 0.01 * static_cast<double>(expert), 0.02));
  rows[3].alpha_mean = 0.2;
  rows[4].nf = kUndefined;
  const TypeRow type = pool_types(rows)[0];
  ASSERT_TRUE(type.experts);
  EXPECT_EQ(type.experts->matrices, 11);
  const FamilySpread& alpha = type.experts->alpha_mean;  // 0.2 1 1.01 1.02 1.04 1.05 ... 1.1
  EXPECT_NEAR(alpha.low, 1, 1e-12);
  EXPECT_NEAR(alpha.median, 1.05, 1e-12);
  EXPECT_NEAR(alpha.high, 1.09, 1e-12);
  EXPECT_EQ(alpha.furthest, 0.2);
  EXPECT_EQ(alpha.layer, 0);
  EXPECT_EQ(alpha.expert, 3);
  EXPECT_NEAR(type.experts->nf.median, 0.02, 1e-15);
  EXPECT_TRUE(std::isnan(type.experts->relative_change.furthest));
  EXPECT_FALSE(type.experts->relative_change.expert);
}

}  // namespace
}  // namespace gyro
