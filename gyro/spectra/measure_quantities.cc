#include "gyro/spectra/measure_quantities.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "gyro/linalg/lanczos.h"
#include "gyro/linalg/linalg.h"

namespace gyro {
namespace {

using linalg::Line;
using linalg::Op;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr int64_t kIntruders = 10;
constexpr double kIntruder = 0.5;  // cosine

double as_double(int64_t n) {
  return static_cast<double>(n);
}

std::vector<double> line_squares(const Matrix& x, Line line) {
  const int64_t across = line == Line::Row ? x.cols() : x.rows();
  return linalg::line_sums(x, x, 0, line, std::vector<double>(static_cast<size_t>(across))).square;
}

std::vector<double> summed_up(std::vector<double> values, double total) {
  std::partial_sum(values.begin(), values.end(), values.begin());
  for (double& value : values) value /= total;
  return values;
}

double block_share(const Matrix& x, int64_t k, double total) {
  const double norm = linalg::norm(x.view().block(0, 0, k, k));
  return norm * norm / total;
}

// A share under chance: of `of` dimensions `in` are looked at, and fitting c took one, `fitted` of it from those.
// `wider`: by how much its variance is above a gaussian E's.
Against beside_beta(double value, double in, double of, double fitted, double wider) {
  const double mean = (in - fitted) / (of - 1);
  return {value, mean, std::sqrt(std::max(0.0, wider * mean * (1 - mean)) / ((of - 1) / 2 + 1))};
}

// Of E = A diag(σ) Bᵀ, ‖E‖ = 1, with A and B of random directions (Haar): the variances of ‖P A diag(σ)‖², P a
// projector of rank k on the side of `d` dimensions, and of ‖P E Q‖², Q one of rank k on the other side. A gaussian E
// has no more than a certain purity; one of few directions has more, and its shares vary more.
struct HaarVariance {
  double one_side = 0, both = 0;
};
HaarVariance haar_variance(double k, double d, double other, double purity) {
  const auto of_trace = [&](double n, double squares, double square) {  // tr(P U S Uᵀ), tr S² and (tr S)² given
    return 2 * (k - k * k / n) * (squares - square / n) / ((n - 1) * (n + 2));
  };
  HaarVariance out{of_trace(d, purity, 1), 0};
  const double mean = k / d, square = out.one_side + mean * mean;
  // E tr((S M)²), M = AᵀPA
  const double squares = (purity * (k * k + 2 * k) + (1 - purity) * k * (d - k) / (d - 1)) / (d * (d + 2));
  out.both = k * k / (other * other) * out.one_side + of_trace(other, squares, square);
  return out;
}

// 1-based number of the direction behind which the gap is widest, from 0.8 k to 1.2 k.
int64_t at_gap(const std::vector<double>& sigma, int64_t k) {
  const auto n = static_cast<int64_t>(sigma.size());
  int64_t best = std::min(k, n);
  double widest = -1;
  for (int64_t j = std::max<int64_t>(1, k * 4 / 5); j <= std::min(n - 1, k * 6 / 5); ++j) {
    const double gap = sigma[static_cast<size_t>(j - 1)] - sigma[static_cast<size_t>(j)];
    if (gap > widest) {
      widest = gap;
      best = j;
    }
  }
  return best;
}

// Mean and variance of 1 − φ in units of s² and s⁴.
struct Lost {
  double mean = 0, variance = 0;
};

// Σ over the pairs across the gap, which both sides have.
Lost pair_loss(const std::vector<double>& sigma, int64_t k) {
  Lost lost;
  for (int64_t i = 0; i < k; ++i) {
    const double a = sigma[static_cast<size_t>(i)] * sigma[static_cast<size_t>(i)];
    for (size_t j = static_cast<size_t>(k); j < sigma.size(); ++j) {
      const double b = sigma[j] * sigma[j], term = (a + b) / ((a - b) * (a - b));
      lost.mean += term;
      lost.variance += 2 * term * term;
    }
  }
  return lost;
}

Lost first_order_loss(const Lost& pairs, const std::vector<double>& sigma, int64_t k, double rest) {
  Lost lost = pairs;
  for (int64_t i = 0; i < k; ++i) {
    const double a = sigma[static_cast<size_t>(i)] * sigma[static_cast<size_t>(i)];
    lost.mean += rest / a;
    lost.variance += 2 * rest / (a * a);
  }
  lost.mean /= as_double(k);
  lost.variance /= as_double(k) * as_double(k);
  return lost;
}

// The sine's square of the largest angle is the largest eigenvalue of I − BᵀB.
double largest_angle(ConstMatrixView block) {
  Matrix lost = Matrix::zeros(block.cols, block.cols, block.space);
  linalg::syrk(Op::Transpose, -1, block, 0, lost);
  linalg::add_to_diagonal(lost, std::vector<double>(static_cast<size_t>(block.cols), 1.0));
  return std::asin(std::sqrt(std::clamp(linalg::largest_eigenvalue(lost, 1e-6), 0.0, 1.0)));
}

// The noise s, where it is small beside the gap behind σ_k.
std::optional<double> noise_below_gap(const QuantityInput& in, int64_t k) {
  constexpr double kOfGap = 0.1;
  const std::vector<double>& sigma = in.base.sigma;
  const double s = std::sqrt(in.residual / as_double(in.base.m * in.base.n)) / std::abs(in.scale);
  const double next = k < in.base.n ? sigma[static_cast<size_t>(k)] : 0;
  return s > 0 && s < kOfGap * (sigma[static_cast<size_t>(k - 1)] - next) ? std::optional(s) : std::nullopt;
}

// `rest`: dimensions of the side outside of the base's span.
Against overlap_of(const QuantityInput& in, const Matrix& q, int64_t k, double rest, std::optional<double> noise,
                   const Lost& pairs) {
  constexpr double kMostLost = 0.1;
  const double norm = linalg::norm(q.view().block(0, 0, k, k));
  Against out{norm * norm / as_double(k), kNaN, kNaN};
  if (!noise || (k == in.base.n && rest == 0)) return out;
  const double s = *noise;
  const Lost lost = first_order_loss(pairs, in.base.sigma, k, rest);
  if (!(s * s * lost.mean < kMostLost)) return out;
  out.null = 1 - s * s * lost.mean;
  out.sd = std::max(s * s * std::sqrt(lost.variance), 1e-12);  // what φ is right to
  return out;
}

SubspaceOverlap subspace_overlap(const QuantityInput& in, double q) {
  SubspaceOverlap out;
  out.k = at_gap(in.base.sigma, leading(in.base.n, q));
  if (out.k > std::min(in.base.rank(), in.post.rank())) return out;
  const std::optional<double> noise = noise_below_gap(in, out.k);
  const Lost pairs = noise ? pair_loss(in.base.sigma, out.k) : Lost{};
  const Against on_long = overlap_of(in, in.q_long, out.k, as_double(in.base.m - in.base.n), noise, pairs);
  const Against on_short = overlap_of(in, in.q_short, out.k, 0, noise, pairs);
  const double long_angle = largest_angle(in.q_long.view().block(0, 0, out.k, out.k));
  const double short_angle = largest_angle(in.q_short.view().block(0, 0, out.k, out.k));
  out.u = in.transposed ? on_short : on_long;
  out.v = in.transposed ? on_long : on_short;
  out.angle_max_u = in.transposed ? short_angle : long_angle;
  out.angle_max_v = in.transposed ? long_angle : short_angle;
  return out;
}

// Of each direction of the base the number of its cluster of equal σ.
std::vector<size_t> clusters_of(const Decomposition& d) {
  std::vector<size_t> clusters(static_cast<size_t>(d.n), 0);
  for (int64_t j = 0; j + 1 < d.n; ++j) {
    const auto i = static_cast<size_t>(j);
    clusters[i + 1] = clusters[i] + (d.told_apart(j) ? 1 : 0);
  }
  return clusters;
}

// How many of the columns lie on no cluster by half.
int64_t count_intruders(ConstMatrixView columns, const std::vector<size_t>& clusters) {
  const Matrix near = Matrix::copy_of(columns, Space::Host);
  int64_t count = 0;
  for (int64_t j = 0; j < near.cols(); ++j) {
    std::vector<double> on(clusters.back() + 1);
    for (int64_t i = 0; i < near.rows(); ++i) on[clusters[static_cast<size_t>(i)]] += near(i, j) * near(i, j);
    count += *std::max_element(on.begin(), on.end()) < kIntruder * kIntruder ? 1 : 0;
  }
  return count;
}

// Singular values by which λ = σ² has a tail, from the smallest on; with their logarithms and the sums of these.
struct Tail {
  std::vector<double> logs;
  std::vector<double> sums;  // from each on
};

// Kolmogorov-Smirnov distance of the power law from `begin` on, or anything above `limit` once it is.
double distance_of(const Tail& tail, size_t begin, double alpha, double limit) {
  const size_t count = tail.logs.size() - begin;
  double worst = 0;
  const auto look = [&](size_t i) {
    const double theory = 1 - std::exp((1 - alpha) * (tail.logs[begin + i] - tail.logs[begin]));
    worst = std::max(worst, std::abs(theory - static_cast<double>(i) / static_cast<double>(count)));
  };
  constexpr size_t kStride = 64;
  for (size_t i = 0; i < count && worst <= limit; i += kStride) look(i);
  for (size_t i = 0; i < count && worst <= limit; ++i) look(i);
  return worst;
}

}  // namespace

int64_t leading(int64_t n, double q) {
  return std::max<int64_t>(1, static_cast<int64_t>(std::floor(q * as_double(n) + 1e-9)));
}

PrincipalCurves principal_curves(const QuantityInput& in) {
  if (!(in.residual > 0) || in.x.rows() == 0 || in.base.rank() < in.base.n) return {};
  const std::vector<double> on_long = summed_up(line_squares(in.x, Line::Row), in.residual);
  const std::vector<double> on_short =
      summed_up(in.base.m > in.base.n ? in.short_energy : line_squares(in.x, Line::Column), in.residual);
  PrincipalCurves out;
  out.u = in.transposed ? on_short : on_long;
  out.v = in.transposed ? on_long : on_short;
  out.uv01 = block_share(in.x, leading(in.base.n, 0.01), in.residual);
  out.uv10 = block_share(in.x, leading(in.base.n, 0.1), in.residual);
  out.uv50 = block_share(in.x, leading(in.base.n, 0.5), in.residual);
  return out;
}

PrincipalShares principal_shares(const QuantityInput& in, const PrincipalCurves& curves) {
  const std::vector<double>& sigma = in.base.sigma;
  const double m = as_double(in.base.m), n = as_double(in.base.n), all = m * n;
  const double d_in = in.transposed ? n : m, d_out = in.transposed ? m : n;
  const double energy = std::inner_product(sigma.begin(), sigma.end(), sigma.begin(), 0.0);
  const auto share = [&](double q, double uv) {
    PrincipalShare out{.k = leading(in.base.n, q), .u = {}, .v = {}, .uv = {}};
    if (curves.u.empty()) return out;
    const double k = as_double(out.k);
    const double fitted = std::inner_product(sigma.begin(), sigma.begin() + out.k, sigma.begin(), 0.0) / energy;
    const double gaussian = (d_in + d_out + 1) / (all + 2);  // purity in the mean
    const auto wider = [&](double d, double other,
                           auto part) {  // no less: equal σ, of which no share is left to chance
      return d < 2 || other < 2 ? 1.0
                                : std::max(1.0, part(haar_variance(k, d, other, in.purity)) /
                                                    part(haar_variance(k, d, other, gaussian)));
    };
    const auto one_side = [](const HaarVariance& v) { return v.one_side; };
    const auto both = [](const HaarVariance& v) { return v.both; };
    out.u = beside_beta(curves.u[static_cast<size_t>(out.k - 1)], k * d_out, all, fitted, wider(d_in, d_out, one_side));
    out.v = beside_beta(curves.v[static_cast<size_t>(out.k - 1)], k * d_in, all, fitted, wider(d_out, d_in, one_side));
    out.uv = beside_beta(uv, k * k, all, fitted, wider(d_in, d_out, both));
    return out;
  };
  return {share(0.01, curves.uv01), share(0.1, curves.uv10), share(0.5, curves.uv50)};
}

SubspaceOverlaps subspace_overlaps(const QuantityInput& in) {
  return {subspace_overlap(in, 0.01), subspace_overlap(in, 0.1), subspace_overlap(in, 0.5)};
}

Intruders intruders(const QuantityInput& in) {
  Intruders out;
  out.of = std::min({kIntruders, in.base.rank(), in.post.rank()});
  const std::vector<size_t> clusters = clusters_of(in.base);
  const int64_t on_long = count_intruders(in.q_long.view().block(0, 0, in.base.n, out.of), clusters);
  const int64_t on_short = count_intruders(in.q_short.view().block(0, 0, in.base.n, out.of), clusters);
  out.u = in.transposed ? on_short : on_long;
  out.v = in.transposed ? on_long : on_short;
  return out;
}

void add_intruder_null(const NullModel& model, const Decomposition& base, bool transposed, uint64_t seed,
                       Intruders& out) {
  const DrawnVectors drawn = draw_vectors(model, out.of, seed);
  const std::vector<size_t> clusters = clusters_of(base);
  const auto on_long = as_double(count_intruders(drawn.q_long, clusters));
  const auto on_short = as_double(count_intruders(drawn.q_short, clusters));
  out.u_null = transposed ? on_short : on_long;
  out.v_null = transposed ? on_long : on_short;
}

SpectrumShift spectrum_shift(const std::vector<double>& base, const std::vector<double>& post, double scale) {
  const auto distance = [&](double c) {
    double sum = 0;
    for (size_t j = 0; j < base.size(); ++j) sum += (post[j] - c * base[j]) * (post[j] - c * base[j]);
    return std::sqrt(sum / std::inner_product(base.begin(), base.end(), base.begin(), 0.0));
  };
  SpectrumShift out;
  out.nss = distance(1);
  out.nss_c.value = distance(std::abs(scale)) / std::abs(scale);
  out.erank_base = effective_rank(base);
  out.erank_post = effective_rank(post);
  out.ww_alpha_base = heavy_tail(base);
  out.ww_alpha_post = heavy_tail(post);
  return out;
}

HeavyTail heavy_tail(const std::vector<double>& sigma) {
  constexpr double kSmallest = 1e-5;
  constexpr size_t kFewest = 10;
  Tail tail;
  for (auto it = sigma.rbegin(); it != sigma.rend(); ++it) {
    if (*it * *it > kSmallest) tail.logs.push_back(2 * std::log(*it));
  }
  if (tail.logs.size() < kFewest) return {};
  tail.sums = tail.logs;
  for (size_t i = tail.sums.size() - 1; i-- > 0;) tail.sums[i] += tail.sums[i + 1];
  HeavyTail best;
  double least = 2;
  for (size_t i = 0; i + 1 < tail.logs.size(); ++i) {
    const auto count = static_cast<double>(tail.logs.size() - i);
    const double excess = tail.sums[i] - count * tail.logs[i];
    if (!(excess > 0)) continue;
    const double alpha = 1 + count / excess, distance = distance_of(tail, i, alpha, least);
    if (!(distance < least)) continue;
    least = distance;
    best = {alpha, distance, std::exp(tail.logs[i]), static_cast<int64_t>(tail.logs.size() - i)};
  }
  return best;
}

double effective_rank(const std::vector<double>& sigma) {
  const double total = std::accumulate(sigma.begin(), sigma.end(), 0.0);
  double entropy = 0;
  for (const double s : sigma) entropy -= s > 0 ? s / total * std::log(s / total) : 0;
  return total > 0 ? std::exp(entropy) : kNaN;
}

}  // namespace gyro
