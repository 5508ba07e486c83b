#include "gyro/spectra/pair.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "gyro/linalg/linalg.h"
#include "gyro/spectra/change.h"
#include "gyro/spectra/measure_quantities.h"
#include "gyro/spectra/moments.h"

namespace gyro {
namespace {

using linalg::Op;
using linalg::product;
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();
/// The Gram path is kept while its bounds are below this share of what is printed.
constexpr double kTolerance = 1e-6;

// A second pass: ‖E‖² to full relative accuracy and, with a probe of the post, what its long side and Q_long are worth.
struct SecondPass {
  double residual = 0;  // ‖E‖²
  FactorFit fit;        // its first round
  Matrix base_y;        // A_bᵀ L_p Z, for the probe of Q_long
};

SecondPass measure_residual(const TallWeight& base, const TallWeight& post, double c, LongSideProbe* probe) {
  SecondPass out{0, FactorFit(base.m, base.n), Matrix::zeros(base.n, kProbes)};
  for_each_panel(base, post, [&](const Panel& b, const Panel& p) {
    if (probe != nullptr) add_adjoint(b, probe->visit(p), out.base_y);
    out.residual += linalg::residual_square(b.data, p.data, c);
    out.fit.visit(b, p, c);
  });
  out.fit.end_round();
  return out;
}

// The rotation between two decompositions, on the long and the short side, and E in the base's coordinates.
struct Rotation {
  Matrix q_long, q_short, x;
  double q_long_error =
      0;  // bound on the Frobenius norm of q_long's error, beyond what the decompositions are wrong by
};

// Gram path, design §1 'Numerics', written in Δ so that a small change keeps its digits:
// Q_long = Σ_b Q_short Σ_p⁻¹ + Σ_b⁻¹ (S_bᵀ A_bᵀΔ) S_p Σ_p⁻¹,   X = (1 − c) Σ_b + Σ_b⁻¹ (S_bᵀ A_bᵀΔ) S_b.
Rotation rotation_from_cross(const Decomposition& b, const Decomposition& p, Matrix cross, double c) {
  Rotation r;
  Matrix projected = product(Op::Transpose, Op::None, b.short_vectors, cross);
  cross = Matrix();
  linalg::divide_rows(projected, b.sigma);
  r.x = product(Op::None, Op::None, projected, b.short_vectors);
  std::vector<double> scaling = b.sigma;
  for (double& s : scaling) s *= 1 - c;
  linalg::add_to_diagonal(r.x, scaling);
  r.q_short = product(Op::Transpose, Op::None, b.short_vectors, p.short_vectors);
  r.q_long = r.q_short.clone();
  linalg::multiply_rows(r.q_long, b.sigma);
  linalg::gemm(Op::None, Op::None, 1, projected, p.short_vectors, 1, r.q_long);
  linalg::divide_columns(r.q_long, p.sigma);
  return r;
}

// ‖(L_bᵀ L_p − Q_long) Z‖, L_p Z = y and A_bᵀ y given.
double q_long_error(const Decomposition& b, const Matrix& base_y, const Matrix& q_long) {
  const Matrix z = probe_columns(b.n);
  Matrix r = product(Op::Transpose, Op::None, b.short_vectors, base_y);
  linalg::divide_rows(r, b.sigma);
  linalg::gemm(Op::None, Op::None, -1, q_long, z, 1, r);
  return probed_norm(r);
}

Rotation rotation_direct(const Decomposition& b, const Decomposition& p, const TallWeight& post, double c) {
  Rotation r;
  r.q_long = product(Op::Transpose, Op::None, b.long_vectors, p.long_vectors);
  r.q_short = product(Op::Transpose, Op::None, b.short_vectors, p.short_vectors);
  Matrix image(post.m, post.n);
  for_each_panel(post, [&](const Panel& panel) {
    apply(panel, b.short_vectors, image.view().block(panel.begin, 0, panel.count, post.n));
  });
  r.x = product(Op::Transpose, Op::None, b.long_vectors, image);
  std::vector<double> scaled = b.sigma;
  for (double& s : scaled) s *= -c;
  linalg::add_to_diagonal(r.x, scaled);
  return r;
}

// Gap-relative rotation of post's leading k-dimensional subspace that its errors allow; at most 1.
double subspace_error(const Decomposition& d, int64_t k) {
  if (k >= d.n) return 0;
  const double a = d.sigma[static_cast<size_t>(k - 1)], b = d.sigma[static_cast<size_t>(k)];
  if (d.method == Method::Svd) return std::min(1.0, 2 * d.residual / std::max(a - b, 1e-300));
  return std::min(1.0, d.eta / std::max(a * a - b * b, 1e-300));
}

void fill_alpha(const Decomposition& b, const Decomposition& p, PairMeasure& out) {
  out.sigma = p.sigma;
  for (double& s : out.sigma) s /= out.unit;
  if (b.rank() < out.k) {
    out.alpha_mean = out.alpha_std = out.alpha_error = kNaN;
    return;
  }
  Moments alpha;
  double error = 0;
  for (int64_t j = 0; j < out.k; ++j) {
    const double pj = p.sigma[static_cast<size_t>(j)], bj = b.sigma[static_cast<size_t>(j)];
    alpha.add(pj / bj);
    // A post that lost the direction has no relative error there, only an absolute one.
    const double post_error = pj > 0 ? pj * p.relative_error(j) : p.residual;
    const double delta = (post_error + pj * b.relative_error(j)) / bj;
    error += delta * delta;
  }
  out.alpha_mean = alpha.mean();
  out.alpha_std = alpha.deviation();
  out.alpha_error = std::sqrt(error / static_cast<double>(out.k));  // bounds the error of the mean and of the deviation
}

void fill_rotation(const Decomposition& b, const Decomposition& p, const Rotation& r, bool transposed, int64_t corner,
                   PairMeasure& out) {
  const auto n = static_cast<double>(b.n), k = static_cast<double>(out.k);
  std::vector<double>& turn_long = transposed ? out.turn_v : out.turn_u;
  std::vector<double>& turn_short = transposed ? out.turn_u : out.turn_v;
  for (const double q : linalg::diagonal(r.q_long)) turn_long.push_back(1 - q * q);
  for (const double q : linalg::diagonal(r.q_short)) turn_short.push_back(1 - q * q);
  Matrix d = r.q_long.clone();
  linalg::add(-1, r.q_short, d);
  const double d_norm = linalg::norm(d);
  const double error = p.polar_error() + b.polar_error() + r.q_long_error;
  out.nf = d_norm / n;  // ‖Q_1ᵀQ_2 − I‖ = ‖Q_1 − Q_2‖: the short side's Q is orthogonal
  out.nf_error = error / n;
  out.nf_robust = leading_block_norm(d, r.q_short, out.k) / k;
  out.nf_robust_error = (error + 2 * subspace_error(p, out.k) * d_norm) / k;
  out.polar_inner = linalg::dot(r.q_long, r.q_short) / n;
  // Where both bases are complete Q is orthogonal up to rounding, and its departure is a probed estimate of that.
  const auto rounding = [&](const Matrix& q) { return orthogonality_of(q) / kProbeFactor / std::sqrt(n); };
  const double long_departure = b.m > b.n ? orthogonality_departure(r.q_long) : rounding(r.q_long);
  const double short_departure = rounding(r.q_short);
  out.q1_orthogonality = transposed ? short_departure : long_departure;
  out.q2_orthogonality = transposed ? long_departure : short_departure;
  if (corner > 0) {
    out.corner =
        transposed ? rotation_corner(r.q_short, r.q_long, corner) : rotation_corner(r.q_long, r.q_short, corner);
    if (!out.corner.polar_complete) out.flags.push_back("mirrored_direction");
  }
}

void fill_null(const NullModel& model, const PairOptions& options, PairMeasure& out) {
  out.null_seed = options.seed;
  if (!(model.sigma.back() > 0) || !(model.scale != 0)) {
    out.null = {kNaN, kNaN, kNaN, false, kNaN, kNaN, kNaN, kNaN, false, false};
    return;
  }
  out.null = null_closed_form(model);
  if (options.null_draws > 0 || options.null_nf_draws > 0) {
    const int64_t draws = out.null.alpha_valid ? options.null_draws : null_draws_for(out.n, options.null_draws);
    out.sampled = sample_null(model, draws, options.null_nf_draws, options.seed);
  }
}

// (Σ σ⁻²)² / Σ σ⁻⁴ over the first k; scaled by σ_k, so that no square overflows.
double effective_count(const std::vector<double>& sigma, int64_t k) {
  double second = 0, fourth = 0;
  for (int64_t j = 0; j < k; ++j) {
    const double inverse = sigma[static_cast<size_t>(k - 1)] / sigma[static_cast<size_t>(j)];
    second += inverse * inverse;
    fourth += inverse * inverse * inverse * inverse;
  }
  return second * second / fourth;
}

bool has_cluster(const Decomposition& d) {
  for (int64_t j = 0; j + 1 < d.n; ++j) {
    if (!d.told_apart(j)) return true;
  }
  return false;
}

// Gram matrix of the post, A_pᵀA_p = G_b + C + Cᵀ + ΔᵀΔ (lower triangle; takes the place of change.gram).
Matrix post_gram(const Matrix& base_gram, Change& change) {
  Matrix g = std::move(change.gram);
  linalg::add_with_transpose(base_gram, change.cross, g);
  return g;
}

bool within_tolerance(const PairMeasure& m) {
  return m.alpha_error <= kTolerance * m.alpha_mean && m.nf_error <= kTolerance * std::max(m.nf, 1e-4 * m.nf_chance);
}

// `size` is the larger of ‖W_b‖² and ‖W_p‖², beside which E may be nothing but rounding.
void fill_energy(const PairInput& in, const Decomposition& b, const Rotation& r, SecondPass& pass, double size,
                 PairMeasure& out) {
  const bool negligible = pass.residual <= 1e-24 * size;
  if (negligible) {
    out.flags.push_back("no_residual");
    out.stable_rank = out.update_rank = kNaN;
  } else if (r.x.rows() > 0) {
    const linalg::SymmetrySums sums = linalg::symmetry_sums(r.x, relative_sigma(b));
    out.energy = energy_budget(sums, pass.residual);
    out.symmetry =
        measure_symmetry({in.base, in.post, out.scale, b, in.base_gram, r.x, sums, pass.fit, in.options.rescale});
  }
  out.energy.total = negligible ? 0 : pass.residual;
}

std::shared_ptr<const Matrix> first_columns(const Matrix& q, int64_t count) {
  Matrix out(q.rows(), count, q.space());
  copy(q.view().block(0, 0, q.rows(), count), out);
  return std::make_shared<const Matrix>(std::move(out));
}

void fill_quantities(const PairInput& in, const Decomposition& b, const Decomposition& p, const Rotation& r,
                     PairMeasure& out) {
  const QuantityInput quantity{
      b, p, r.q_long, r.q_short, r.x, in.short_energy, in.base.transposed, out.scale, out.energy.total, in.purity};
  if (out.energy.total == 0 && out.quantities.update_spectrum) out.quantities.update_spectrum.emplace();
  PrincipalCurves curves = principal_curves(quantity);
  out.quantities.principal_share = principal_shares(quantity, curves);
  // Rounding is not spread as gaussian noise is: where it is most of E chance has another spread.
  if (out.rounding_norm * out.rounding_norm > 0.5 * out.energy.total) {
    PrincipalShares& shares = out.quantities.principal_share;
    for (PrincipalShare* share : {&shares.q01, &shares.q10, &shares.q50})
      share->u.sd = share->v.sd = share->uv.sd = kNaN;
  }
  out.quantities.subspace_overlap = subspace_overlaps(quantity);
  out.quantities.intruders = intruders(quantity);
  if (const int64_t count = std::min(in.options.leading, out.n); count > 0) {
    out.leading_u = first_columns(in.base.transposed ? r.q_short : r.q_long, count);
    out.leading_v = first_columns(in.base.transposed ? r.q_long : r.q_short, count);
  }
  out.principal_u = std::move(curves.u);
  out.principal_v = std::move(curves.v);
}

// What of the spectra's shift chance gives, and a draw for intruders where there are any.
void fill_quantity_nulls(const NullModel& model, const Decomposition& base, bool transposed, PairMeasure& out) {
  std::vector<double> sigma = base.sigma;
  for (double& s : sigma) s /= out.unit;
  out.quantities.spectrum = spectrum_shift(sigma, out.sigma, out.scale);
  Against& shift = out.quantities.spectrum.nss_c;
  if (!(model.residual_norm > 0)) {
    shift.null = kNaN;
  } else if (out.null.nss_c_valid) {
    shift.null = out.null.nss_c;
    shift.sd = out.null.nss_c_sd;
  } else if (out.sampled) {
    shift.null = out.sampled->nss_c;
    shift.sd = out.sampled->nss_c_sd;
  }
  Intruders& found = out.quantities.intruders;
  if (found.u + found.v > 0 && model.sigma.back() > 0 && model.residual_norm > 0)
    add_intruder_null(model, base, transposed, out.null_seed, found);
}

std::optional<PairMeasure> gram_path(const PairInput& in, const Decomposition& b, Change change, PairMeasure out) {
  if (!b.resolved()) return std::nullopt;
  const double reach = b.norm + std::sqrt(change.norm_squared);
  Decomposition p =
      decompose_gram(post_gram(in.base_gram, change), b.m, std::sqrt(change.post_norm_squared), reach * reach);
  if (!p.resolved()) return std::nullopt;
  LongSideProbe probe(p);
  SecondPass pass = measure_residual(in.base, in.post, out.scale, &probe);
  p.long_side = probe.departure();
  Rotation r = rotation_from_cross(b, p, std::move(change.cross), out.scale);
  r.q_long_error = q_long_error(b, pass.base_y, r.q_long);
  out.rank = b.n;
  fill_alpha(b, p, out);
  fill_rotation(b, p, r, in.base.transposed, in.options.corner, out);
  if (!within_tolerance(out)) return std::nullopt;
  fill_energy(in, b, r, pass, std::max(b.norm, p.norm) * std::max(b.norm, p.norm), out);
  fill_quantities(in, b, p, r, out);
  return out;
}

PairMeasure direct_path(const PairInput& in, const Decomposition& b, PairMeasure out) {
  const Decomposition p = decompose_direct(in.post);
  out.method = Method::Svd;
  out.rank = std::min(b.rank(), p.rank());
  fill_alpha(b, p, out);
  const Rotation r = rotation_direct(b, p, in.post, out.scale);
  fill_rotation(b, p, r, in.base.transposed, in.options.corner, out);
  SecondPass pass = measure_residual(in.base, in.post, out.scale, nullptr);
  fill_energy(in, b, r, pass, std::max(b.norm, p.norm) * std::max(b.norm, p.norm), out);
  fill_quantities(in, b, p, r, out);
  if (out.rank < b.n) {
    // A missing direction's vectors are arbitrary, and everything that sums over all directions with them.
    out.flags.push_back("rank_deficient");
    out.energy = {.total = out.energy.total, .scaling = kNaN, .co_rotation = kNaN, .counter_rotation = kNaN};
    out.symmetry = {};
    for (double* value : {&out.nf, &out.nf_error, &out.nf_robust, &out.nf_robust_error, &out.polar_inner,
                          &out.q1_orthogonality, &out.q2_orthogonality}) {
      *value = kNaN;
    }
  } else if (!within_tolerance(out)) {
    out.flags.push_back("loose_bound");
  }
  return out;
}

}  // namespace

int64_t null_draws_for(int64_t n, int64_t asked) {
  constexpr int64_t kMost = 16;
  return asked == 0 ? 0 : std::max(asked, std::clamp<int64_t>(1024 / n, 1, kMost));
}

BaseMatrix::BaseMatrix(const Weight& weight) : resident_(weight), tall_(as_tall(resident_.weight())) {
  tall_.factor = safe_factor(tall_);
  gram_ = decompose_by_gram(tall_, gram_matrix_);
  sigma_ = gram_.sigma;
  for (double& s : sigma_) s /= tall_.factor;
}

const Decomposition& BaseMatrix::direct() {
  if (!direct_) direct_ = decompose_direct(tall_);
  return *direct_;
}

PairMeasure BaseMatrix::compare(const Weight& post_weight, const PairOptions& options) {
  const ResidentWeight resident(post_weight);
  TallWeight post = as_tall(resident.weight());
  if (post.m != tall_.m || post.n != tall_.n || post.transposed != tall_.transposed) {
    throw std::logic_error("compare: shapes differ");
  }
  post.factor = tall_.factor;
  PairInput in{tall_, post, options, gram_matrix_, gram_, gram_.norm * gram_.norm, {}};
  PairMeasure out;
  out.n = tall_.n;
  out.k = std::max<int64_t>(1, out.n * 9 / 10);
  out.unit = tall_.factor;
  out.nf_chance = nf_chance(tall_.m, out.n);  // within_tolerance looks at it
  out.nf_robust_chance = nf_chance(tall_.m, out.k);
  Change change = measure_change(tall_, post);
  fill_change(in, change, out);
  std::optional<PairMeasure> by_gram = gram_path(in, gram_, std::move(change), out);
  out = by_gram ? *std::move(by_gram) : direct_path(in, direct(), std::move(out));

  const Decomposition& base = out.method == Method::Gram ? gram_ : *direct_;
  out.scale_sd = std::sqrt(out.energy.total / static_cast<double>(base.m * base.n)) / base.norm;
  out.k_eff = effective_count(base.sigma, out.k);
  if (has_cluster(base)) out.flags.push_back("degenerate_cluster");
  const NullModel model{base.m, base.n, out.k, out.scale, std::sqrt(out.energy.total), base.sigma};
  fill_null(model, options, out);
  fill_quantity_nulls(model, base, tall_.transposed, out);
  if (options.update_spectrum && !out.quantities.update_spectrum) out.quantities.update_spectrum.emplace();
  if (options.masks) {
    if (!masks_) masks_ = base_masks(tall_, gram_);
    out.quantities.masks = mask_overlap(*masks_, tall_, post, out.relative_change * gram_.norm);
  }
  return out;
}

}  // namespace gyro
