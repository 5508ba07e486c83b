#include "gyro/diff/result.h"

#include <cmath>

#include "gyro/spectra/moments.h"

namespace gyro {
namespace {

double finite(double value) {
  return std::isfinite(value) ? value : kUndefined;
}

std::optional<RowSample> sample_of(const PairMeasure& m) {
  if (!m.sampled) return std::nullopt;
  const NullSample& s = *m.sampled;
  return RowSample{.draws = s.alpha_draws,
                   .seed = m.null_seed,
                   .alpha_mean = finite(s.alpha_mean),
                   .alpha_std = finite(s.alpha_std),
                   .alpha_std_sd = finite(s.alpha_std_sd),
                   .nf_draws = s.nf_draws,
                   .nf = finite(s.nf),
                   .nf_sd = finite(s.nf_sd),
                   .nf_robust = finite(s.nf_robust),
                   .nf_robust_sd = finite(s.nf_robust_sd)};
}

RowNull null_of(const PairMeasure& m) {
  RowNull null{.valid = m.null.nf_valid,
               .nf = finite(m.null.nf),
               .nf_robust = finite(m.null.nf_robust),
               .nf_robust_sd = finite(m.null.nf_robust_sd),
               .sampled = sample_of(m)};
  if (m.null.alpha_valid) {
    null.alpha_mean = finite(m.null.alpha_mean);
    null.alpha_std = finite(m.null.alpha_std);
    null.alpha_method = AlphaMethod::ClosedForm;
  } else if (null.sampled) {
    null.alpha_mean = null.sampled->alpha_mean;
    null.alpha_std = null.sampled->alpha_std;
    null.alpha_method = AlphaMethod::Sampled;
  }
  return null;
}

RowEnergy energy_of(const EnergyBudget& e, int64_t n) {
  RowEnergy out{.total = finite(e.total)};
  if (!(e.total > 0)) return out;
  const double ratio = e.counter_rotation / e.co_rotation;
  out.scaling = finite(e.scaling / e.total);
  out.co_rotation = finite(e.co_rotation / e.total);
  out.counter_rotation = finite(e.counter_rotation / e.total);
  out.leakage = finite(e.leakage() / e.total);
  out.counter_over_co = finite(ratio);
  out.z = finite((ratio - 1) / counter_over_co_sd(n));
  return out;
}

// Sums over the layers of one type.
struct TypePool {
  Moments alpha, null_alpha, chance, nf, nf_robust, null_nf, null_nf_robust, scale, relative_change, unchanged;
  double nf_max = kUndefined;
  double co = 0, counter = 0, variance = 0, total = 0, scaling = 0, leakage = 0;
  bool null_valid = true;

  void add(const MatrixRow& row);
  TypeRow row(MatrixType type) const;
};

void TypePool::add(const MatrixRow& row) {
  alpha.add(Moments::of(row.k, row.alpha_mean, row.alpha_std));
  null_alpha.add(Moments::of(row.k, row.null.alpha_mean, row.null.alpha_std));
  chance.add(row.nf_chance);
  nf.add(row.nf);
  nf_robust.add(row.nf_robust);
  null_nf.add(row.null.nf);
  null_nf_robust.add(row.null.nf_robust);
  scale.add(row.scale);
  relative_change.add(row.relative_change);
  unchanged.add(row.unchanged);
  nf_max = std::fmax(nf_max, row.nf);
  null_valid = null_valid && row.null.valid;
  const double e = row.energy.total;
  if (!(e > 0) || std::isnan(row.energy.counter_over_co)) return;
  const double s = e * row.energy.co_rotation;
  total += e;
  scaling += e * row.energy.scaling;
  leakage += e * row.energy.leakage;
  counter += e * row.energy.counter_rotation;
  co += s;
  variance += s * s * counter_over_co_sd(row.n) * counter_over_co_sd(row.n);
}

TypeRow TypePool::row(MatrixType type) const {
  const auto ratio = [](double a, double b) { return b > 0 ? finite(a / b) : kUndefined; };
  const double counter_over_co = co > 0 ? counter / co : kUndefined;
  const double sd = co > 0 ? std::sqrt(variance) / co : kUndefined;
  const double valid = null_valid ? 1 : kUndefined;
  return {.type = type,
          .layers = nf.count(),
          .alpha_mean = finite(alpha.mean()),
          .alpha_std = finite(alpha.deviation()),
          .alpha_prime = finite(std::round(alpha.mean() * 10) / 10),
          .nf_mean = finite(nf.mean()),
          .nf_max = finite(nf_max),
          .nf_chance = finite(chance.mean()),
          .nf_robust_mean = finite(nf_robust.mean()),
          .counter_over_co = finite(counter_over_co),
          .counter_over_co_sd = finite(sd),
          .z = finite((counter_over_co - 1) / sd),
          .energy = {.total = total,
                     .scaling = ratio(scaling, total),
                     .co_rotation = ratio(co, total),
                     .counter_rotation = ratio(counter, total),
                     .leakage = ratio(leakage, total)},
          .scale_mean = finite(scale.mean()),
          .relative_change_mean = finite(relative_change.mean()),
          .unchanged = finite(unchanged.mean()),
          .null = {.alpha_mean = finite(null_alpha.mean()),
                   .alpha_std = finite(null_alpha.deviation()),
                   .nf_mean = finite(null_nf.mean()),
                   .nf_robust_mean = finite(null_nf_robust.mean())},
          .alpha_mean_over_null = ratio(alpha.mean(), null_alpha.mean()),
          .alpha_std_over_null = ratio(alpha.deviation(), null_alpha.deviation()),
          .nf_mean_over_null = ratio(valid * nf.mean(), null_nf.mean()),
          .nf_robust_mean_over_null = ratio(valid * nf_robust.mean(), null_nf_robust.mean())};
}

}  // namespace

MatrixRow matrix_row(const MatrixSite& site, const PairMeasure& m) {
  MatrixRow row{.layer = site.layer,
                .type = site.type,
                .tensor = site.tensor,
                .d_in = site.d_in,
                .d_out = site.d_out,
                .n = m.n,
                .k = m.k,
                .rank = m.rank,
                .method = m.method,
                .flags = m.flags,
                .alpha_mean = finite(m.alpha_mean),
                .alpha_std = finite(m.alpha_std),
                .alpha_error = finite(m.alpha_error),
                .nf = finite(m.nf),
                .nf_error = finite(m.nf_error),
                .nf_robust = finite(m.nf_robust),
                .nf_robust_error = finite(m.nf_robust_error),
                .nf_chance = finite(m.nf_chance),
                .nf_robust_chance = finite(m.nf_robust_chance),
                .scale = finite(m.scale),
                .relative_change = finite(m.relative_change),
                .cosine = finite(m.cosine),
                .polar_inner = finite(m.polar_inner),
                .q1_orthogonality = finite(m.q1_orthogonality),
                .q2_orthogonality = finite(m.q2_orthogonality),
                .energy = energy_of(m.energy, m.n),
                .unchanged = finite(m.unchanged),
                .stable_rank = finite(m.stable_rank),
                .rounding_over_residual = finite(m.rounding_norm / std::sqrt(m.energy.total)),
                .null = null_of(m)};
  if (site.expert >= 0) row.expert = site.expert;
  if (site.sliced) row.slice = {site.row_begin, site.row_end};
  return row;
}

std::vector<TypeRow> pool_types(const std::vector<MatrixRow>& rows) {
  std::map<MatrixType, TypePool> pools;
  for (const MatrixRow& row : rows) pools[row.type].add(row);
  std::vector<TypeRow> types;
  for (const auto& [type, pool] : pools) types.push_back(pool.row(type));
  return types;
}

ModelInfo describe_model(const TensorSource& checkpoint) {
  const ModelConfig& config = checkpoint.config();
  ModelInfo info{.id = checkpoint.id(),
                 .path = checkpoint.path().string(),
                 .architecture = config.architecture,
                 .model_type = config.model_type,
                 .layers = config.num_hidden_layers,
                 .parameters = checkpoint.parameters(),
                 .dtypes = checkpoint.dtypes(),
                 .sha256 = checkpoint.sha256()};
  if (!checkpoint.revision().empty()) info.revision = checkpoint.revision();
  return info;
}

}  // namespace gyro
