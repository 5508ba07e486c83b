#include "gyro/spectra/shared_rotation.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <optional>
#include <stdexcept>
#include <utility>

#include "gyro/base/random.h"
#include "gyro/linalg/linalg.h"
#include "gyro/spectra/moments.h"
#include "gyro/spectra/null_model.h"
#include "gyro/spectra/rotation.h"

namespace gyro {
namespace {

using linalg::Op;
using linalg::product;

double square(double x) {
  return x * x;
}

double root_of(const Matrix& square_matrix) {
  return std::sqrt(static_cast<double>(square_matrix.cols()));
}

// A post beside the base, its singular pairs flipped towards the base's. Without q and turn where a rank is deficient.
struct Turned {
  Factors factors;
  double inner = 0, change = 0;  // ⟨W_b, W_p − W_b⟩, ‖W_p − W_b‖²
  Matrix q;                      // eq. 13
  Matrix turn;                   // Q Σ_b Qᵀ off its diagonal
  TurnMeasure measure;
};

struct Frames {
  Factors base;
  Turned post;
};

// Over the panels of both, b − a (in a's and b's tall form), and where `cross` is not null A_aᵀ(A_b − A_a) added to it.
linalg::ChangeSums difference_sums(const TallWeight& a, const TallWeight& b, Matrix* cross) {
  linalg::ChangeSums sums;
  for_each_panel(a, b, [&](const Panel& panel_a, const Panel& panel_b) {
    const linalg::ChangeSums part = linalg::subtract(panel_a.data, panel_b.data);
    sums.inner += part.inner;
    sums.change += part.change;
    sums.post += part.post;
    sums.unchanged += part.unchanged;
    if (cross != nullptr) add_cross(panel_a, panel_b, *cross);
  });
  return sums;
}

double distance(const Matrix& a, const Matrix& b) {
  Matrix d = a.clone();
  linalg::add(-1, b, d);
  return linalg::norm(d) / root_of(a);
}

double identity_distance(const Matrix& q) {
  Matrix d = q.clone();
  linalg::add_to_diagonal(d, std::vector<double>(static_cast<size_t>(q.cols()), -1));
  return linalg::norm(d) / root_of(q);
}

// Q Σ Qᵀ.
Matrix turned_sigma(const Matrix& q, const std::vector<double>& sigma) {
  Matrix scaled = q.clone();
  linalg::multiply_columns(scaled, sigma);
  return product(Op::None, Op::Transpose, scaled, q);
}

void clear_diagonal(Matrix& x) {
  std::vector<double> entries = linalg::diagonal(x);
  for (double& entry : entries) entry = -entry;
  linalg::add_to_diagonal(x, entries);
}

bool full_rank(const Factors& f) {
  return f.svd.method == Method::Gram || f.svd.rank() == f.svd.n;
}

// Flips the post's pairs by sign(u_b·u_p + v_b·v_p), in its factors and in Q_long and Q_short.
void align(Factors& post, Matrix& q_long, Matrix& q_short) {
  std::vector<double> signs = linalg::diagonal(q_long);
  const std::vector<double> other = linalg::diagonal(q_short);
  for (size_t j = 0; j < signs.size(); ++j) signs[j] = signs[j] + other[j] < 0 ? -1 : 1;
  for (Matrix* m : {&q_long, &q_short, &post.svd.short_vectors, &post.svd.long_vectors}) {
    if (!m->empty()) linalg::multiply_columns(*m, signs);
  }
}

void fill_turn(const Factors& base, Turned& out) {
  Matrix q_long = long_rotation(base, out.factors), q_short = short_rotation(base, out.factors);
  align(out.factors, q_long, q_short);
  const Matrix &q1 = base.a.transposed ? q_short : q_long, &q2 = base.a.transposed ? q_long : q_short;
  out.measure.q1_orthogonality = orthogonality_departure(q1);
  out.measure.q2_orthogonality = orthogonality_departure(q2);
  PolarFactor polar = common_rotation(q1, q2);
  if (!polar.complete) out.measure.flags.emplace_back("mirrored_direction");
  out.q = std::move(polar.q);
  out.measure.identity_distance = identity_distance(out.q);
  out.turn = turned_sigma(out.q, base.svd.sigma);
  clear_diagonal(out.turn);
}

Turned turned(const Factors& base, Factors&& post) {
  Turned out;
  const linalg::ChangeSums sums = difference_sums(base.a, post.a, nullptr);
  out.factors = std::move(post);
  out.inner = sums.inner;
  out.change = sums.change;
  const double norm = base.svd.norm;
  out.measure.relative_change = std::sqrt(sums.change) / norm;
  out.measure.cosine = (square(norm) + sums.inner) / (norm * std::sqrt(sums.post));
  if (sums.unchanged == base.a.m * base.a.n) out.measure.flags.emplace_back("unchanged");
  if (full_rank(base) && full_rank(out.factors)) {
    fill_turn(base, out);
  } else {
    out.measure.flags.emplace_back("rank_deficient");
  }
  return out;
}

// ‖W_p − c W_b‖².
double residual_square(const Turned& post, double base_norm) {
  return std::max(0.0, post.change - square(post.inner / base_norm));
}

double change_correlation(const Turned& p, const Turned& o, double difference_square, double base_norm) {
  const double product_of_changes = (p.change + o.change - difference_square) / 2;
  const double product_of_residuals = product_of_changes - p.inner * o.inner / square(base_norm);
  return product_of_residuals / std::sqrt(residual_square(p, base_norm) * residual_square(o, base_norm));
}

void fill_turn_correlation(const Factors& base, const Turned& p, const Turned& o, SharedMeasure& out) {
  const double p_norm = linalg::norm(p.turn), o_norm = linalg::norm(o.turn);
  constexpr double kRounding = 1e-10;  // of ‖Σ_b‖: a smaller turn is none
  if (std::min(p_norm, o_norm) <= kRounding * base.svd.norm) return;
  out.turn_correlation = linalg::dot(p.turn, o.turn) / (p_norm * o_norm);
  Matrix products = o.turn.clone();
  linalg::multiply_elements(p.turn, products);
  out.turn_correlation_sd = std::sqrt(2.0) * linalg::norm(products) / (p_norm * o_norm);
}

// L_pᵀ(A_o − A_p)S_p. On the Gram path from `cross` = A_pᵀ(A_o − A_p), so that a small difference keeps its digits.
Matrix difference_in_frame(const Factors& p, const Factors& o, const Matrix& cross) {
  if (p.svd.method == Method::Gram) {
    Matrix y =
        product(Op::None, Op::None, product(Op::Transpose, Op::None, p.svd.short_vectors, cross), p.svd.short_vectors);
    linalg::divide_rows(y, p.svd.sigma);
    return y;
  }
  Matrix scaled = long_rotation(p, o);
  linalg::multiply_columns(scaled, o.svd.sigma);
  Matrix y = product(Op::None, Op::Transpose, scaled, short_rotation(p, o));
  std::vector<double> sigma = p.svd.sigma;
  for (double& s : sigma) s = -s;
  linalg::add_to_diagonal(y, sigma);
  return y;
}

// ‖W_o − U_p Q_c Σ Q_cᵀ V_pᵀ‖ / ‖W_o − W_p‖: what is outside of p's frame is out of the rotation's reach.
double carry_error(const Factors& p, const Matrix& y, double outside, double change, const Matrix& q_c,
                   const std::vector<double>& sigma) {
  Matrix moved = turned_sigma(q_c, sigma);
  std::vector<double> own = p.svd.sigma;
  for (double& s : own) s = -s;
  linalg::add_to_diagonal(moved, own);
  linalg::add(-1, y, moved);
  return std::sqrt((square(linalg::norm(moved)) + outside) / change);
}

void fill_carry(const Turned& p, const Turned& o, const Matrix& cross, double change, SharedMeasure& out) {
  if (!(change > 0)) return;
  const Matrix y = difference_in_frame(p.factors, o.factors, cross);
  const double outside = p.factors.a.m == p.factors.a.n ? 0 : std::max(0.0, change - square(linalg::norm(y)));
  const Matrix q_c = product(Op::Transpose, Op::None, p.q, o.q);
  out.carry_error = carry_error(p.factors, y, outside, change, q_c, o.factors.svd.sigma);
  out.carry_error_kept = carry_error(p.factors, y, outside, change, q_c, p.factors.svd.sigma);
  out.explained = 1 - square(out.carry_error);
  const linalg::SymmetrySums sums = linalg::symmetry_sums(y, p.factors.svd.sigma);
  out.explained_by_chance = (sums.diagonal + (sums.symmetric + sums.antisymmetric) / 2) / change;
  out.explained_sd = std::sqrt(sums.products) / change;
}

SharedMeasure shared_measure(const Frames& frames, const Turned& other) {
  const Turned& post = frames.post;
  SharedMeasure out;
  const bool vectors = !post.q.empty() && !other.q.empty();
  const bool gram = frames.base.svd.method == Method::Gram;
  Matrix cross;
  if (vectors && gram) cross = Matrix::zeros(frames.base.a.n, frames.base.a.n);
  const double change = difference_sums(post.factors.a, other.factors.a, cross.empty() ? nullptr : &cross).change;
  out.difference = std::sqrt(change);
  out.change_correlation = change_correlation(post, other, change, frames.base.svd.norm);
  if (!vectors) return out;
  out.distance = distance(post.q, other.q);
  fill_turn_correlation(frames.base, post, other, out);
  fill_carry(post, other, cross, change, out);
  return out;
}

// The mean of each member; NaN where nothing was added.
class SharedMean {
 public:
  void add(const SharedMeasure& m) {
    for (size_t i = 0; i < std::size(kMembers); ++i) means_[i].add(m.*kMembers[i]);
  }
  SharedMeasure mean() const {
    SharedMeasure out;
    for (size_t i = 0; i < std::size(kMembers); ++i) out.*kMembers[i] = means_[i].mean();
    return out;
  }

 private:
  static constexpr double SharedMeasure::*kMembers[] = {
      &SharedMeasure::distance,           &SharedMeasure::turn_correlation, &SharedMeasure::turn_correlation_sd,
      &SharedMeasure::change_correlation, &SharedMeasure::difference,       &SharedMeasure::carry_error,
      &SharedMeasure::carry_error_kept,   &SharedMeasure::explained,        &SharedMeasure::explained_by_chance,
      &SharedMeasure::explained_sd};
  Moments means_[std::size(kMembers)];
};

}  // namespace

struct SharedRotation::State {
  State(const Weight& base_weight, const Weight& post_weight, const SharedRotationOptions& asked)
      : base(base_weight), post(post_weight), options(asked) {
    Factors base_factors = factorize_any(base.weight()), post_factors = factorize_any(post.weight());
    if (base_factors.svd.method == Method::Svd || post_factors.svd.method == Method::Svd) return;
    Turned post_turned = turned(base_factors, std::move(post_factors));
    gram.emplace(Frames{std::move(base_factors), std::move(post_turned)});
  }

  const Frames& directly() {
    if (!direct) {
      Factors base_factors = factorize_directly(base.weight());
      Turned post_turned = turned(base_factors, factorize_directly(post.weight()));
      direct.emplace(Frames{std::move(base_factors), std::move(post_turned)});
    }
    return *direct;
  }

  // The weight's factors with frames that are of the same method.
  std::pair<const Frames*, Factors> beside(const Weight& weight) {
    if (gram) {
      Factors factors = factorize_any(weight);
      if (factors.svd.method == Method::Gram) return {&*gram, std::move(factors)};
      return {&directly(), std::move(factors)};
    }
    return {&directly(), factorize_directly(weight)};
  }

  // Draws of c W_b + E of the post's size, turned. None where there is no E, or no vectors.
  void draw(const Turned& of, const std::function<void(const Frames&, const Turned&)>& visit) {
    const double norm = (gram ? *gram : directly()).base.svd.norm;
    const double residual = std::sqrt(residual_square(of, norm));
    if (of.q.empty() || !(residual > 0)) return;
    for (int64_t i = 0; i < options.null_draws; ++i) {
      const Matrix values = noise_weight(base.weight(), 1 + of.inner / square(norm), residual,
                                         mix64(mix64(options.seed) ^ static_cast<uint64_t>(i)));
      const Weight noise = as_weight(values, "noise for " + of.factors.a.weight->name);
      auto [frames, factors] = beside(noise);
      visit(*frames, turned(frames->base, std::move(factors)));
    }
  }

  ResidentWeight base, post;
  SharedRotationOptions options;
  std::optional<Frames> gram, direct;
  std::optional<double> post_null;  // identity_distance_null of the post
};

SharedRotation::SharedRotation(const Weight& base, const Weight& post, const SharedRotationOptions& options) {
  if (base.rows != post.rows || base.cols != post.cols) throw std::logic_error("SharedRotation: shapes differ");
  state_ = std::make_unique<State>(base, post, options);
}

SharedRotation::~SharedRotation() = default;

RotationPair SharedRotation::compare(const Weight& other_weight) {
  const ResidentWeight resident(other_weight);
  if (resident.weight().rows != state_->base.weight().rows || resident.weight().cols != state_->base.weight().cols) {
    throw std::logic_error("compare: shapes differ");
  }
  RotationPair out;
  auto [frames, factors] = state_->beside(resident.weight());
  const Turned other = turned(frames->base, std::move(factors));
  out.n = frames->base.a.n;
  out.method = frames->base.svd.method;
  out.shared = shared_measure(*frames, other);
  out.post = frames->post.measure;
  out.other = other.measure;
  if (!state_->post_null) {
    Moments distances;
    state_->draw(frames->post,
                 [&](const Frames&, const Turned& noise) { distances.add(noise.measure.identity_distance); });
    state_->post_null = distances.mean();
  }
  out.post.identity_distance_null = *state_->post_null;
  Moments distances;
  SharedMean shared;
  state_->draw(other, [&](const Frames& beside, const Turned& noise) {
    distances.add(noise.measure.identity_distance);
    shared.add(shared_measure(beside, noise));
  });
  out.other.identity_distance_null = distances.mean();
  out.null = shared.mean();
  return out;
}

}  // namespace gyro
