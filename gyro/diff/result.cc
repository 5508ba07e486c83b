#include "gyro/diff/result.h"

#include <algorithm>
#include <cmath>

#include "gyro/diff/pool_quantities.h"
#include "gyro/diff/spread.h"
#include "gyro/diff/trajectory.h"
#include "gyro/spectra/moments.h"

namespace gyro {
namespace {

template <typename T>
ResultArray array_of(DType dtype, std::vector<int64_t> shape, const std::vector<T>& values) {
  const auto bytes = std::as_bytes(std::span(values));
  return {dtype, std::move(shape), {bytes.begin(), bytes.end()}};
}

double square(double x) {
  return x * x;
}

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
  RowNull null{.valid = m.null.nf_valid, .sampled = sample_of(m)};
  if (null.valid) {
    null.nf = finite(m.null.nf);
    null.nf_robust = finite(m.null.nf_robust);
    null.nf_robust_sd = finite(m.null.nf_robust_sd);
  }
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

// What a test of symmetry gives, as shares of its N.
template <typename Shares>
void fill_symmetric(const SymmetryTest& test, Shares& out) {
  out.symmetric_share = finite(test.product / test.energy);
  out.symmetric_null = finite(test.null);
  out.symmetric_sd = finite(std::sqrt(test.variance) / test.energy);
  out.symmetric_z = finite(-(test.product - test.null * test.energy) / std::sqrt(test.variance));
}

SideShares shares_of(const SideSums& side, double energy) {
  const auto sd = [&](double variance) { return finite(std::sqrt(variance) / energy); };
  return {.input = finite(side.input / energy),
          .input_null = finite(side.input_null / energy),
          .input_sd = sd(side.input_variance),
          .turn = finite(side.turn / energy),
          .turn_sd = sd(side.turn_variance),
          .stretch = finite(side.stretch / energy),
          .stretch_sd = sd(side.stretch_variance)};
}

// Share of ‖rounding‖² that lies off the diagonal of X: chance's.
double off_diagonal_share(int64_t m, int64_t n) {
  return static_cast<double>(n - 1) / static_cast<double>(m);
}

RowEnergy energy_of(const PairMeasure& m, int64_t d_long) {
  const EnergyBudget& e = m.energy;
  RowEnergy out{.total = finite(e.total / m.unit / m.unit)};
  if (!(e.total > 0)) return out;
  const double ratio = e.counter_rotation / e.co_rotation;
  out.scaling = finite(e.scaling / e.total);
  out.co_rotation = finite(e.co_rotation / e.total);
  out.counter_rotation = finite(e.counter_rotation / e.total);
  out.leakage = finite(e.leakage() / e.total);
  out.counter_over_co = finite(ratio);
  out.z = finite((ratio - 1) / counter_over_co_sd(m.n));
  fill_symmetric(m.symmetry.whole, out);
  fill_symmetric(m.symmetry.rescaled, out.rescaled);
  out.rescaled.fitted = finite(m.symmetry.fitted / e.total);
  out.rescaled.off_diagonal = finite(m.symmetry.rescaled.energy / e.total);
  out.side = shares_of(m.symmetry.side, m.symmetry.whole.energy);
  out.rounding_ratio =
      finite((e.co_rotation + e.counter_rotation) / square(m.rounding_norm) / off_diagonal_share(d_long, m.n));
  return out;
}

// Sums of tests of symmetry.
struct SymmetryPool {
  SymmetryTest sum{0, 0, 0, 0};  // null: of ρ₀ N
  bool any = false;

  template <typename Shares>
  void add(const Shares& row, double energy) {
    if (std::isnan(row.symmetric_sd) || std::isnan(row.symmetric_null)) return;
    any = true;
    sum.energy += energy;
    sum.product += row.symmetric_share * energy;
    sum.null += row.symmetric_null * energy;
    sum.variance += square(row.symmetric_sd * energy);
  }
  template <typename Shares>
  void fill(Shares& out) const {
    if (any) fill_symmetric({sum.product, sum.energy, sum.null / sum.energy, sum.variance}, out);
  }
};

struct SidePool {
  SideSums sum{0, 0, 0, 0, 0, 0, 0};
  double energy = 0;

  void add(const SideShares& row, double row_energy) {
    if (std::isnan(row.turn_sd) || std::isnan(row.input_sd)) return;
    energy += row_energy;
    sum.input += row.input * row_energy;
    sum.input_null += row.input_null * row_energy;
    sum.turn += row.turn * row_energy;
    sum.stretch += row.stretch * row_energy;
    sum.input_variance += square(row.input_sd * row_energy);
    sum.turn_variance += square(row.turn_sd * row_energy);
    sum.stretch_variance += square(row.stretch_sd * row_energy);
  }
};

// Sums over the layers of one type.
struct TypePool {
  Moments alpha, null_alpha, chance, nf, nf_robust, null_nf, null_nf_robust, scale, relative_change, unchanged;
  double nf_max = kUndefined;
  int64_t matrices = 0, with_alpha = 0;
  double co = 0, counter = 0, variance = 0, total = 0, scaling = 0, leakage = 0;
  SymmetryPool symmetry, rescaled;
  SidePool side;
  double off_diagonal = 0, rounding = 0;   // Σ N, and of it what rounding gives
  double asked = 0, fitted = 0, kept = 0;  // Σ ‖E‖² where `rescaled` is defined, and shares of it
  double scale_variance = 0, noise = 0, noise_squares = 0;  // Σ var c, Σ (s/σ)², Σ (s/σ)⁴
  Moments sparse_expected;
  std::vector<double> update_ranks;
  bool null_valid = true;

  void add(const MatrixRow& row);
  void add_symmetry(const MatrixRow& row);
  void add_scale(const MatrixRow& row);
  TypeRow row(MatrixType type) const;
};

void TypePool::add(const MatrixRow& row) {
  ++matrices;
  if (!std::isnan(row.alpha_mean)) {
    ++with_alpha;
    alpha.add(Moments::of(row.k, row.alpha_mean, row.alpha_std));
    null_alpha.add(Moments::of(row.k, row.null.alpha_mean, row.null.alpha_std));
  }
  if (!std::isnan(row.nf)) {
    chance.add(row.nf_chance);
    nf.add(row.nf);
    nf_robust.add(row.nf_robust);
    null_nf.add(row.null.nf);
    null_nf_robust.add(row.null.nf_robust);
    null_valid = null_valid && row.null.valid;
  }
  unchanged.add(row.unchanged);
  nf_max = std::fmax(nf_max, row.nf);
  if (!std::isnan(row.sparse_expected)) sparse_expected.add(row.sparse_expected);
  update_ranks.push_back(row.update_rank);
  add_symmetry(row);
  add_scale(row);
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

// Of a base that is zero neither is defined.
void TypePool::add_scale(const MatrixRow& row) {
  if (std::isnan(row.scale) || std::isnan(row.relative_change)) return;
  scale.add(row.scale);
  relative_change.add(row.relative_change);
  scale_variance += square(row.scale_sd);
  const double spread = static_cast<double>(row.k) * row.first_order_variance;
  noise += spread;
  noise_squares += spread * spread / row.k_eff;
}

void TypePool::add_symmetry(const MatrixRow& row) {
  const RowEnergy& e = row.energy;
  const double energy = e.total * (e.co_rotation + e.counter_rotation);
  if (!(energy > 0)) return;
  off_diagonal += energy;
  if (row.energy.rounding_ratio > 0) rounding += energy / row.energy.rounding_ratio;
  symmetry.add(e, energy);
  side.add(e.side, energy);
  const bool tested = !std::isnan(e.rescaled.symmetric_sd) && !std::isnan(e.rescaled.symmetric_null);
  if (!tested && !nothing_is_left(e.rescaled)) return;
  asked += e.total;
  fitted += e.total * e.rescaled.fitted;
  if (!tested) return;
  rescaled.add(e.rescaled, e.total * e.rescaled.off_diagonal);
  kept += e.total * e.rescaled.off_diagonal;
}

TypeRow TypePool::row(MatrixType type) const {
  const auto ratio = [](double a, double b) { return b > 0 ? finite(a / b) : kUndefined; };
  const double counter_over_co = co > 0 ? counter / co : kUndefined;
  const double sd = co > 0 ? std::sqrt(variance) / co : kUndefined;
  const double valid = null_valid ? 1 : kUndefined;
  TypeRow row{.type = type,
              .layers = matrices,
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
              .rounding_ratio = ratio(off_diagonal, rounding),
              .rescaled = {.fitted = ratio(fitted, asked), .off_diagonal = ratio(kept, asked)},
              .side = shares_of(side.sum, side.energy),
              .energy = {.total = total,
                         .scaling = ratio(scaling, total),
                         .co_rotation = ratio(co, total),
                         .counter_rotation = ratio(counter, total),
                         .leakage = ratio(leakage, total)},
              .scale_mean = finite(scale.mean()),
              .scale_sd = finite(std::sqrt(scale_variance) / static_cast<double>(scale.count())),
              .relative_change_mean = finite(relative_change.mean()),
              .unchanged = finite(unchanged.mean()),
              .sparse_expected = finite(sparse_expected.mean()),
              .update_rank = median(update_ranks),
              .k_eff = ratio(noise * noise, noise_squares),
              .null = {.alpha_mean = finite(null_alpha.mean()),
                       .alpha_std = finite(null_alpha.deviation()),
                       .nf_mean = finite(null_nf.mean()),
                       .nf_robust_mean = finite(null_nf_robust.mean())},
              .alpha_mean_over_null = ratio(alpha.mean(), null_alpha.mean()),
              .alpha_std_over_null = ratio(alpha.deviation(), null_alpha.deviation()),
              .nf_mean_over_null = ratio(valid * nf.mean(), null_nf.mean()),
              .nf_robust_mean_over_null = ratio(valid * nf_robust.mean(), null_nf_robust.mean())};
  row.alpha_layers = with_alpha;
  row.nf_layers = nf.count();
  symmetry.fill(row);
  rescaled.fill(row.rescaled);
  return row;
}

}  // namespace

bool nothing_is_left(const RescaledShare& rescaled) {
  return std::isnan(rescaled.symmetric_share) && rescaled.fitted > 1 - 1e-6;
}

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
                .energy = energy_of(m, std::max(site.d_in, site.d_out)),
                .unchanged = finite(m.unchanged),
                .sparse_expected = finite(m.sparse_expected),
                .stable_rank = finite(m.stable_rank),
                .update_rank = finite(m.update_rank),
                .rounding_over_residual = finite(m.rounding_norm / std::sqrt(m.energy.total)),
                .scale_sd = finite(m.scale_sd),
                .k_eff = finite(m.k_eff),
                .first_order_variance = finite(square(m.null.alpha_std / m.scale)),
                .null = null_of(m)};
  row.quantities = m.quantities;
  if (site.expert >= 0) row.expert = site.expert;
  if (site.sliced) row.slice = {site.row_begin, site.row_end};
  if (site.block > 0) row.blocks = {site.block, site.block_step};
  if (site.transposed) row.columns = {site.col_begin, site.col_step};
  return row;
}

namespace {

FamilySpread family_spread(const std::vector<const MatrixRow*>& family, double MatrixRow::*figure) {
  std::vector<double> values;
  for (const MatrixRow* row : family) values.push_back(row->*figure);
  const std::optional<Spread> spread = spread_of(values);
  if (!spread) return {};
  const MatrixRow& furthest = *family[spread->furthest];
  return {.median = spread->median,
          .low = spread->low,
          .high = spread->high,
          .furthest = furthest.*figure,
          .layer = furthest.layer,
          .expert = furthest.expert};
}

std::optional<ExpertFamily> family_of(const std::vector<MatrixRow>& rows, MatrixType type) {
  std::vector<const MatrixRow*> family;
  for (const MatrixRow& row : rows) {
    if (row.type == type && row.expert) family.push_back(&row);
  }
  if (family.empty()) return std::nullopt;
  return ExpertFamily{.matrices = static_cast<int64_t>(family.size()),
                      .alpha_mean = family_spread(family, &MatrixRow::alpha_mean),
                      .nf = family_spread(family, &MatrixRow::nf),
                      .relative_change = family_spread(family, &MatrixRow::relative_change)};
}

}  // namespace

std::vector<TypeRow> pool_types(const std::vector<MatrixRow>& rows) {
  std::map<MatrixType, TypePool> pools;
  for (const MatrixRow& row : rows) pools[row.type].add(row);
  std::vector<TypeRow> types;
  for (const auto& [type, pool] : pools) {
    types.push_back(pool.row(type));
    types.back().experts = family_of(rows, type);
    std::vector<const MatrixRow*> own;
    for (const MatrixRow& row : rows) {
      if (row.type == type) own.push_back(&row);
    }
    types.back().quantities = pool_quantities(own);
    types.back().drift = pool_drift(own);
    types.back().untouched =
        std::count_if(own.begin(), own.end(), [](const MatrixRow* r) { return r->unchanged == 1; });
  }
  return types;
}

std::string short_name(const std::string& id, size_t parts) {
  const size_t end = id.find_last_not_of('/') + 1;  // 0 where there is nothing else
  if (end == 0) return id;
  size_t begin = end;
  for (size_t i = 0; i < parts && begin > 0; ++i) {
    const size_t before = i == 0 ? end : begin - 1;  // without the slash that the part found last follows
    const size_t slash = before == 0 ? id.npos : id.rfind('/', before - 1);
    begin = slash == id.npos ? 0 : slash + 1;
  }
  return id.substr(begin, end - begin);
}

std::vector<std::string> short_names(const std::vector<std::string>& ids) {
  std::vector<std::string> names;
  for (const std::string& id : ids) {
    const auto shared = [&](size_t parts) {
      return std::any_of(ids.begin(), ids.end(), [&](const std::string& other) {
        return other != id && short_name(other, parts) == short_name(id, parts);
      });
    };
    const auto most = static_cast<size_t>(std::count(id.begin(), id.end(), '/')) + 1;
    size_t parts = 1;
    while (parts < most && shared(parts)) ++parts;
    names.push_back(short_name(id, parts));
  }
  return names;
}

std::vector<std::string> model_names(const std::vector<Comparison>& comparisons) {
  std::vector<std::string> ids;
  for (const Comparison& comparison : comparisons) {
    if (!comparison.noise_of) ids.push_back(comparison.post.id);
  }
  const std::vector<std::string> short_ids = short_names(ids);
  std::vector<std::string> names;
  size_t next = 0;
  for (const Comparison& comparison : comparisons)
    names.push_back(comparison.noise_of ? comparison.post.id : short_ids[next++]);
  return names;
}

ResultArray result_array(const std::vector<double>& values) {
  return array_of(DType::F64, {static_cast<int64_t>(values.size())}, values);
}

ResultArrays pair_arrays(const PairMeasure& m) {
  ResultArrays arrays;
  const auto add = [&](const char* name, const std::vector<double>& values) {
    if (!values.empty()) arrays[name] = result_array(values);
  };
  add("sigma", m.sigma);
  add("turn_u", m.turn_u);
  add("turn_v", m.turn_v);
  add("principal_u", m.principal_u);
  add("principal_v", m.principal_v);
  const RotationCorner& c = m.corner;
  if (c.size == 0) return arrays;
  const auto add_corner = [&](const char* name, const std::vector<float>& values) {
    arrays[name] = array_of(DType::F32, {c.size, c.size}, values);
  };
  add_corner("sim_u", c.sim_u);
  add_corner("sim_v", c.sim_v);
  add_corner("sim_diff", c.sim_diff);
  add_corner("i_orth", c.i_orth);
  add_corner("delta_q1", c.delta_q1);
  add_corner("delta_q2", c.delta_q2);
  return arrays;
}

ModelInfo describe_model(const TensorSource& checkpoint) {
  const ModelConfig& config = checkpoint.config();
  ModelInfo info{.id = checkpoint.id(),
                 .path = checkpoint.folders().empty() ? std::nullopt : std::optional(checkpoint.path().string()),
                 .architecture = config.architecture,
                 .model_type = config.model_type,
                 .layers = count_layers(checkpoint),
                 .parameters = checkpoint.parameters(),
                 .dtypes = checkpoint.dtypes(),
                 .sha256 = checkpoint.identity()};
  if (!checkpoint.revision().empty()) info.revision = checkpoint.revision();
  return info;
}

}  // namespace gyro
