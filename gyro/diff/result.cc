#include "gyro/diff/result.h"

#include <cmath>
#include <map>

#include "gyro/spectra/moments.h"

namespace gyro {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

Json sampled_json(const PairMeasure& m) {
  if (!m.sampled) return nullptr;
  const NullSample& s = *m.sampled;
  return {{"draws", s.alpha_draws},
          {"seed", m.null_seed},
          {"alpha_mean", finite_or_null(s.alpha_mean)},
          {"alpha_std", finite_or_null(s.alpha_std)},
          {"alpha_std_sd", finite_or_null(s.alpha_std_sd)},
          {"nf_draws", s.nf_draws},
          {"nf", finite_or_null(s.nf)},
          {"nf_sd", finite_or_null(s.nf_sd)},
          {"nf_robust", finite_or_null(s.nf_robust)},
          {"nf_robust_sd", finite_or_null(s.nf_robust_sd)}};
}

Json null_json(const PairMeasure& m) {
  double mean = kNaN, deviation = kNaN;
  Json method = nullptr;
  if (m.null.alpha_valid) {
    mean = m.null.alpha_mean;
    deviation = m.null.alpha_std;
    method = "closed_form";
  } else if (m.sampled) {
    mean = m.sampled->alpha_mean;
    deviation = m.sampled->alpha_std;
    method = "sampled";
  }
  return {{"valid", m.null.nf_valid},
          {"alpha_mean", finite_or_null(mean)},
          {"alpha_std", finite_or_null(deviation)},
          {"alpha_method", method},
          {"nf", finite_or_null(m.null.nf)},
          {"nf_robust", finite_or_null(m.null.nf_robust)},
          {"nf_robust_sd", finite_or_null(m.null.nf_robust_sd)},
          {"sampled", sampled_json(m)}};
}

Json energy_json(const EnergyBudget& e, int64_t n) {
  const bool exists = e.total > 0;
  const auto share = [&](double part) { return finite_or_null(exists ? part / e.total : kNaN); };
  const double ratio = exists ? e.counter_rotation / e.co_rotation : kNaN;
  return {{"total", finite_or_null(e.total)},
          {"scaling", share(e.scaling)},
          {"co_rotation", share(e.co_rotation)},
          {"counter_rotation", share(e.counter_rotation)},
          {"leakage", share(e.leakage())},
          {"counter_over_co", finite_or_null(ratio)},
          {"z", finite_or_null((ratio - 1) / counter_over_co_sd(n))}};
}

// Sums over the layers of one type.
struct Pool {
  Moments alpha, null_alpha, chance, nf, nf_robust, null_nf, null_nf_robust, scale, relative_change, unchanged;
  double nf_max = kNaN;
  double co = 0, counter = 0, variance = 0, total = 0, scaling = 0, leakage = 0;
  bool null_valid = true;

  void add(const Json& row);
  Json json(std::string_view type) const;
};

void Pool::add(const Json& row) {
  const Json& null = row["null"];
  const Json& energy = row["energy"];
  const auto k = row["k"].get<int64_t>();
  alpha.add(Moments::of(k, number(row, "alpha_mean"), number(row, "alpha_std")));
  null_alpha.add(Moments::of(k, number(null, "alpha_mean"), number(null, "alpha_std")));
  chance.add(number(row, "nf_chance"));
  nf.add(number(row, "nf"));
  nf_robust.add(number(row, "nf_robust"));
  null_nf.add(number(null, "nf"));
  null_nf_robust.add(number(null, "nf_robust"));
  scale.add(number(row, "scale"));
  relative_change.add(number(row, "relative_change"));
  unchanged.add(number(row, "unchanged"));
  nf_max = std::fmax(nf_max, number(row, "nf"));
  null_valid = null_valid && null["valid"].get<bool>();
  const double e = number(energy, "total");
  if (!(e > 0) || energy["counter_over_co"].is_null()) return;
  const auto n = row["n"].get<int64_t>();
  const double s = e * number(energy, "co_rotation");
  total += e;
  scaling += e * number(energy, "scaling");
  leakage += e * number(energy, "leakage");
  counter += e * number(energy, "counter_rotation");
  co += s;
  variance += s * s * counter_over_co_sd(n) * counter_over_co_sd(n);
}

Json Pool::json(std::string_view type) const {
  const auto ratio = [](double a, double b) { return finite_or_null(b > 0 ? a / b : kNaN); };
  const double counter_over_co = co > 0 ? counter / co : kNaN;
  const double sd = co > 0 ? std::sqrt(variance) / co : kNaN;
  const double valid = null_valid ? 1 : kNaN;
  return {{"type", type},
          {"layers", nf.count()},
          {"fused", type == "W_QKV" || type == "W_gate_up"},
          {"alpha_mean", finite_or_null(alpha.mean())},
          {"alpha_std", finite_or_null(alpha.deviation())},
          {"alpha_prime", finite_or_null(std::round(alpha.mean() * 10) / 10)},
          {"nf_mean", finite_or_null(nf.mean())},
          {"nf_max", finite_or_null(nf_max)},
          {"nf_chance", finite_or_null(chance.mean())},
          {"nf_robust_mean", finite_or_null(nf_robust.mean())},
          {"counter_over_co", finite_or_null(counter_over_co)},
          {"counter_over_co_sd", finite_or_null(sd)},
          {"z", finite_or_null((counter_over_co - 1) / sd)},
          {"energy",
           {{"total", total},
            {"scaling", ratio(scaling, total)},
            {"co_rotation", ratio(co, total)},
            {"counter_rotation", ratio(counter, total)},
            {"leakage", ratio(leakage, total)}}},
          {"scale_mean", finite_or_null(scale.mean())},
          {"relative_change_mean", finite_or_null(relative_change.mean())},
          {"unchanged", finite_or_null(unchanged.mean())},
          {"null",
           {{"alpha_mean", finite_or_null(null_alpha.mean())},
            {"alpha_std", finite_or_null(null_alpha.deviation())},
            {"nf_mean", finite_or_null(null_nf.mean())},
            {"nf_robust_mean", finite_or_null(null_nf_robust.mean())}}},
          {"alpha_mean_over_null", ratio(alpha.mean(), null_alpha.mean())},
          {"alpha_std_over_null", ratio(alpha.deviation(), null_alpha.deviation())},
          {"nf_mean_over_null", ratio(valid * nf.mean(), null_nf.mean())},
          {"nf_robust_mean_over_null", ratio(valid * nf_robust.mean(), null_nf_robust.mean())}};
}

}  // namespace

double number(const Json& object, std::string_view key) {
  const auto it = object.find(std::string(key));
  return it != object.end() && it->is_number() ? it->get<double>() : kNaN;
}

Json finite_or_null(double value) {
  return std::isfinite(value) ? Json(value) : Json(nullptr);
}

Json matrix_row(const MatrixSite& site, const PairMeasure& m) {
  Json slice = nullptr;
  if (site.sliced) slice = {site.row_begin, site.row_end};
  return {{"layer", site.layer},
          {"type", type_name(site.type)},
          {"tensor", site.tensor},
          {"slice", slice},
          {"fused", type_is_fused(site.type)},
          {"d_in", site.d_in},
          {"d_out", site.d_out},
          {"n", m.n},
          {"k", m.k},
          {"rank", m.rank},
          {"method", m.method == Method::Gram ? "gram" : "svd"},
          {"flags", m.flags},
          {"alpha_mean", finite_or_null(m.alpha_mean)},
          {"alpha_std", finite_or_null(m.alpha_std)},
          {"alpha_error", finite_or_null(m.alpha_error)},
          {"nf", finite_or_null(m.nf)},
          {"nf_error", finite_or_null(m.nf_error)},
          {"nf_robust", finite_or_null(m.nf_robust)},
          {"nf_robust_error", finite_or_null(m.nf_robust_error)},
          {"nf_chance", m.nf_chance},
          {"nf_robust_chance", m.nf_robust_chance},
          {"scale", finite_or_null(m.scale)},
          {"relative_change", finite_or_null(m.relative_change)},
          {"cosine", finite_or_null(m.cosine)},
          {"polar_inner", finite_or_null(m.polar_inner)},
          {"q1_orthogonality", finite_or_null(m.q1_orthogonality)},
          {"q2_orthogonality", finite_or_null(m.q2_orthogonality)},
          {"energy", energy_json(m.energy, m.n)},
          {"unchanged", m.unchanged},
          {"stable_rank", finite_or_null(m.stable_rank)},
          {"rounding_over_residual", finite_or_null(m.rounding_norm / std::sqrt(m.energy.total))},
          {"null", null_json(m)}};
}

Json pool_types(const Json& rows) {
  std::map<MatrixType, Pool> pools;
  for (const Json& row : rows) pools[*type_from_name(row["type"].get<std::string>())].add(row);
  Json types = Json::array();
  for (const auto& [type, pool] : pools) types.push_back(pool.json(type_name(type)));
  return types;
}

Json describe_model(const TensorSource& checkpoint) {
  const ModelConfig& config = checkpoint.config();
  return {{"id", checkpoint.id()},
          {"path", checkpoint.path().string()},
          {"revision", checkpoint.revision().empty() ? Json(nullptr) : Json(checkpoint.revision())},
          {"architecture", config.architecture},
          {"model_type", config.model_type},
          {"layers", config.num_hidden_layers},
          {"parameters", checkpoint.parameters()},
          {"dtypes", checkpoint.dtypes()},
          {"sha256", checkpoint.sha256()}};
}

}  // namespace gyro
