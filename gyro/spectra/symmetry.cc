#include "gyro/spectra/symmetry.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "gyro/base/random.h"

namespace gyro {
namespace {

using linalg::Line;
using linalg::LineSums;
using linalg::Op;
using linalg::product;

constexpr int64_t kExactLines = 512;  // of the long side: up to here all of them
constexpr int64_t kSampledLines = 64;
constexpr int64_t kCheap = 512;  // a short side up to which the fit is no matter
constexpr double kWorthFitting = 3;
constexpr double kNothingLeft = 1e-6;  // share of ‖E‖² below which what a fit leaves is its own error

LineSums zero_sums(int64_t n) {
  const std::vector<double> zero(static_cast<size_t>(n));
  return {zero, zero, zero, zero};
}

void add_to(std::vector<double>& sum, const std::vector<double>& part) {
  for (size_t i = 0; i < sum.size(); ++i) sum[i] += part[i];
}

double quotient(double a, double b) {
  return b > 0 ? a / b : 0;
}

double inner(const std::vector<double>& a, const std::vector<double>& b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

// Rows of the long side, ascending, and with which probability each was to be among them.
struct Sample {
  std::vector<int64_t> lines;
  std::vector<double> probability;
};

// Systematic sampling with probabilities min(1, λ size). A tenth of the sizes is alike for all, so that a row of little
// energy has no weight without bound.
Sample sample_lines(const std::vector<double>& energy) {
  const auto m = static_cast<int64_t>(energy.size());
  Sample sample;
  if (m <= kExactLines) {
    sample.lines.resize(energy.size());
    std::iota(sample.lines.begin(), sample.lines.end(), 0);
    sample.probability.assign(energy.size(), 1);
    return sample;
  }
  const double floor = 0.1 * std::accumulate(energy.begin(), energy.end(), 0.0) / static_cast<double>(m);
  const auto probability_of = [&](size_t i, double factor) { return std::min(1.0, factor * (energy[i] + floor)); };
  const auto expected = [&](double factor) {
    double sum = 0;
    for (size_t i = 0; i < energy.size(); ++i) sum += probability_of(i, factor);
    return sum;
  };
  double factor = static_cast<double>(kSampledLines) / (11 * floor * static_cast<double>(m));
  for (int round = 0; round < 20; ++round) factor *= static_cast<double>(kSampledLines) / expected(factor);
  double place = Random(mix64(energy.size())).uniform();  // the same rows whatever --seed
  for (size_t i = 0; i < energy.size(); ++i) {
    const double p = probability_of(i, factor);
    place += p;
    if (place < 1) continue;
    place -= 1;
    sample.lines.push_back(static_cast<int64_t>(i));
    sample.probability.push_back(p);
  }
  return sample;
}

// The sampled rows of base and post that lie in a panel, as columns k of `base` and `post`.
struct Lines {
  Matrix base, post;
  size_t taken = 0;

  void take(const Sample& sample, const Panel& b, const Panel& p) {
    std::vector<int64_t> here;
    const auto first = static_cast<int64_t>(taken);
    for (; taken < sample.lines.size() && sample.lines[taken] < b.begin + b.count; ++taken) {
      here.push_back(sample.lines[taken] - b.begin);
    }
    const Line line = b.transposed ? Line::Column : Line::Row;
    const auto count = static_cast<int64_t>(here.size());
    linalg::select_lines(b.data, line, here, base.view().block(0, first, base.rows(), count));
    linalg::select_lines(p.data, line, here, post.view().block(0, first, post.rows(), count));
  }
};

Matrix squared(const Matrix& a) {
  Matrix out = a.clone();
  linalg::multiply_elements(out, out);
  return out;
}

// weightsᵀ A, on the host.
std::vector<double> weighted_columns(const std::vector<double>& weights, const Matrix& a) {
  const Matrix w = Matrix::copy_of(
      ConstMatrixView(weights.data(), static_cast<int64_t>(weights.size()), 1, static_cast<int64_t>(weights.size())),
      a.space());
  const Matrix sums = Matrix::copy_of(product(Op::Transpose, Op::None, w, a), Space::Host);
  return {sums.data(), sums.data() + sums.cols()};
}

std::vector<double> square_of(std::vector<double> values) {
  for (double& v : values) v *= v;
  return values;
}

// T of the direction in which a factor of a line moves E, for unit length times the line's square: (Σ_i σ_i u_i²)² −
// Σ_i σ_i² u_i⁴ over that square twice, u² being the columns of `squares`, n x lines.
std::vector<double> factor_patterns(const std::vector<double>& sigma, const Matrix& squares) {
  const std::vector<double> polar = weighted_columns(sigma, squares),
                            square = weighted_columns(square_of(sigma), squares),
                            fourth = weighted_columns(square_of(sigma), squared(squares));
  std::vector<double> out;
  for (size_t i = 0; i < polar.size(); ++i) {
    out.push_back(quotient(polar[i] * polar[i] - fourth[i], square[i] * square[i]));
  }
  return out;
}

// Column i → Σ_{j>i} x_j − Σ_{j<i} x_j.
Matrix above_less_below(const Matrix& x) {
  Matrix out = Matrix::copy_of(x, Space::Host);
  for (int64_t k = 0; k < out.cols(); ++k) {
    double* column = out.col(k);
    double below = 0, above = std::accumulate(column, column + out.rows(), 0.0);
    for (int64_t i = 0; i < out.rows(); ++i) {
      const double own = column[i];
      above -= own;
      column[i] = above - below;
      below += own;
    }
  }
  return moved_to(x.space(), std::move(out));
}

// What the signs' average makes of T and N, a row of the long side at a time: Σ_b E_ab² (P_ab² − D_ab) and
// Σ_b E_ab² (ℓ_a − D_ab) with P = L Sᵀ, D = (L∘L)(S∘S)ᵀ, ℓ the row sums of L∘L (those of S∘S are 1). And of the sums'
// `sides`, Σ_b E_ab² Σ_{i<j} (L_aj² S_bi² − L_ai² S_bj²).
struct Pattern {
  std::vector<double> product, energy, sides;
  std::vector<double> fitted;  ///< what of T a fit of row and column factors takes: factors move by Σ A E / Σ A²
};

Pattern pattern_of(const Lines& lines, double c, const Decomposition& d) {
  const std::vector<double> ones(static_cast<size_t>(d.n), 1);
  Matrix u = product(Op::Transpose, Op::None, d.short_vectors, lines.base);  // Lᵀ of the rows
  linalg::divide_rows(u, d.sigma);
  Matrix e = lines.post.clone();
  linalg::add(-c, lines.base, e);
  const Matrix e2 = squared(e), u2 = squared(u), short_squares = squared(d.short_vectors);
  Matrix p2 = squared(product(Op::None, Op::None, d.short_vectors, u)),
         dd = product(Op::None, Op::None, short_squares, u2), both = squared(lines.base);
  linalg::add(-1, dd, p2);
  linalg::multiply_elements(e2, p2);
  linalg::multiply_elements(e2, dd);
  Matrix sides = product(Op::None, Op::None, short_squares, above_less_below(u2));
  linalg::multiply_elements(e2, sides);
  linalg::multiply_elements(e2, both);
  const std::vector<double> leverage = weighted_columns(ones, u2), residual = weighted_columns(ones, e2),
                            inside = weighted_columns(ones, dd), moving = weighted_columns(ones, both),
                            of_row = factor_patterns(d.sigma, u2);
  Pattern out{weighted_columns(ones, p2), leverage, weighted_columns(ones, sides),
              weighted_columns(factor_patterns(d.sigma, linalg::transposed(short_squares)), both)};
  for (size_t a = 0; a < leverage.size(); ++a) {
    out.energy[a] = leverage[a] * residual[a] - inside[a];
    out.fitted[a] += moving[a] * of_row[a];
  }
  return out;
}

// ρ₀, its variance, and ρ₀ of what a fit of row and column factors leaves of E with random signs.
struct Chance {
  double null = 0, variance = 0, null_of_rest = 0;
  double sides = 0;  // their null and its variance, of N = 1
  double sides_variance = 0;
};

Chance chance_of(const SymmetryInput& in, const Sample& sample, const Lines& lines) {
  const Pattern pattern = pattern_of(lines, in.c, in.decomposition);
  double product = 0, energy = 0, sides = 0, taken = 0;
  for (size_t k = 0; k < sample.lines.size(); ++k) {
    const double p = sample.probability[k];
    product += pattern.product[k] / p;
    energy += pattern.energy[k] / p;
    sides += pattern.sides[k] / p;
    taken += pattern.fitted[k] / p;
  }
  Chance out{product / energy, 0, (product - taken) / energy, sides / energy, 0};
  for (size_t k = 0; k < sample.lines.size(); ++k) {
    const double p = sample.probability[k], weight = (1 - p) / (p * p * energy * energy);
    const double departure = pattern.product[k] - out.null * pattern.energy[k];
    const double side = pattern.sides[k] - out.sides * pattern.energy[k];
    out.variance += weight * departure * departure;
    out.sides_variance += weight * side * side;
  }
  return out;
}

SymmetryTest test_of(const linalg::SymmetrySums& sums, double null, double null_variance) {
  const double n = sums.symmetric + sums.antisymmetric;
  return {sums.symmetric - sums.antisymmetric, n, null, 4 * sums.products + n * n * null_variance};
}

// AᵀFA for the fit's row factors F (lower triangle), with the square roots of what they are above the least one.
Matrix weighted_gram(const SymmetryInput& in) {
  const std::vector<double>& factors = in.fit.row_factors();
  const double least = *std::min_element(factors.begin(), factors.end());
  Matrix sum = Matrix::zeros(in.base.n, in.base.n);
  for_each_panel(in.base, [&](const Panel& panel) {
    std::vector<double> roots(factors.begin() + panel.begin, factors.begin() + panel.begin + panel.count);
    for (double& f : roots) f = std::sqrt(f - least);
    if (panel.transposed) {
      linalg::multiply_columns(panel.data, roots);
    } else {
      linalg::multiply_rows(panel.data, roots);
    }
    add_gram(panel, sum);
  });
  linalg::add(least, in.gram, sum);
  return sum;
}

// X of E less the fit: Lᵀ (F A + A G) S = Σ⁻¹ Sᵀ (AᵀFA) S + Σ Sᵀ G S.
Matrix rescaled_x(const SymmetryInput& in) {
  const Decomposition& d = in.decomposition;
  Matrix x = in.x.clone();
  Matrix part(d.n, d.n);
  linalg::symm(weighted_gram(in), d.short_vectors, 0, part);
  Matrix of_rows = product(Op::Transpose, Op::None, d.short_vectors, part);
  linalg::divide_rows(of_rows, d.sigma);
  linalg::add(-1, of_rows, x);
  copy(d.short_vectors, part);
  linalg::multiply_rows(part, in.fit.column_factors());
  linalg::gemm(Op::Transpose, Op::None, 1, d.short_vectors, part, 0, of_rows);
  linalg::multiply_rows(of_rows, d.sigma);
  linalg::add(-1, of_rows, x);
  return x;
}

}  // namespace

std::vector<double> relative_sigma(const Decomposition& d) {
  std::vector<double> out = d.sigma;
  for (double& s : out) s /= d.sigma[0];
  return out;
}

SideSums side_sums(const linalg::SymmetrySums& s, const std::vector<double>& sigma, bool transposed) {
  const double first = std::accumulate(sigma.begin(), sigma.end(), 0.0), second = inner(sigma, sigma);
  const double p = static_cast<double>(sigma.size()) * second - first * first, q = first * first - second;
  SideSums out;
  out.input = transposed ? -s.sides : s.sides;
  out.input_variance = s.side_squares;
  if (!(p > 1e-12 * q)) return out;
  // Σ t = turn + stretch and Σ t w = turn Σpw/Σp + stretch Σqw/Σq. A variance is of t's signs being coins.
  const double of_p = s.pw / p, of_q = q > 0 ? s.qw / q : 0, t = s.symmetric - s.antisymmetric;
  const auto variance = [&](double one, double of_w) {
    return one * one * 4 * s.products + 2 * one * of_w * s.ttw + of_w * of_w * s.ttww;
  };
  out.turn = (s.tw - of_q * t) / (of_p - of_q);
  out.turn_variance = variance(-of_q / (of_p - of_q), 1 / (of_p - of_q));
  out.stretch = (of_p * t - s.tw) / (of_p - of_q);
  out.stretch_variance = variance(of_p / (of_p - of_q), -1 / (of_p - of_q));
  return out;
}

FactorFit::FactorFit(int64_t m, int64_t n)
    : rows_(zero_sums(m)),
      columns_(zero_sums(n)),
      row_factors_(static_cast<size_t>(m)),
      column_factors_(static_cast<size_t>(n)) {}

void FactorFit::visit(const Panel& base, const Panel& post, double c) {
  if (base.begin == 0) columns_ = zero_sums(static_cast<int64_t>(column_factors_.size()));
  const Line along = base.transposed ? Line::Column : Line::Row, across = base.transposed ? Line::Row : Line::Column;
  const LineSums lines = linalg::line_sums(base.data, post.data, c, along, column_factors_);
  std::vector<double> factors;
  for (size_t i = 0; i < lines.square.size(); ++i) {
    factors.push_back(quotient(lines.product[i] - lines.weighted[i], lines.square[i]));
  }
  const LineSums part = linalg::line_sums(base.data, post.data, c, across, factors);
  const auto begin = static_cast<std::ptrdiff_t>(base.begin);
  std::copy(factors.begin(), factors.end(), row_factors_.begin() + begin);
  std::copy(lines.residual.begin(), lines.residual.end(), rows_.residual.begin() + begin);
  std::copy(lines.square.begin(), lines.square.end(), rows_.square.begin() + begin);
  std::copy(lines.product.begin(), lines.product.end(), rows_.product.begin() + begin);
  std::copy(lines.weighted.begin(), lines.weighted.end(), rows_.weighted.begin() + begin);
  add_to(columns_.residual, part.residual);
  add_to(columns_.square, part.square);
  add_to(columns_.product, part.product);
  add_to(columns_.weighted, part.weighted);
}

void FactorFit::end_round() {
  moved_ = 0;
  for (size_t j = 0; j < column_factors_.size(); ++j) {
    const double factor = quotient(columns_.product[j] - columns_.weighted[j], columns_.square[j]);
    const double change = factor - std::exchange(column_factors_[j], factor);
    moved_ += columns_.square[j] * change * change;
  }
  fitted_ = inner(row_factors_, rows_.product) + inner(column_factors_, columns_.product);
}

Symmetry measure_symmetry(const SymmetryInput& in) {
  const Decomposition& d = in.decomposition;
  const double total = std::accumulate(in.fit.rows().residual.begin(), in.fit.rows().residual.end(), 0.0);
  const bool rescale = in.rescale || d.n <= kCheap;
  const Sample sample = sample_lines(in.fit.rows().residual);
  const auto count = static_cast<int64_t>(sample.lines.size());
  Lines lines{Matrix(d.n, count), Matrix(d.n, count)};
  for_each_panel(in.base, in.post, [&](const Panel& b, const Panel& p) {
    lines.take(sample, b, p);
    if (rescale) in.fit.visit(b, p, in.c);
  });
  const Chance chance = chance_of(in, sample, lines);
  Symmetry out;
  out.whole = test_of(in.sums, chance.null, chance.variance);
  out.side = side_sums(in.sums, relative_sigma(d), in.base.transposed);
  out.side.input_null = (in.base.transposed ? -1 : 1) * chance.sides * out.whole.energy;
  out.side.input_variance += chance.sides_variance * out.whole.energy * out.whole.energy;
  const SymmetryTest& whole = out.whole;
  const double departure = whole.product - whole.null * whole.energy;
  if (!rescale || !(d.n <= kCheap || std::abs(departure) > kWorthFitting * std::sqrt(whole.variance))) return out;
  in.fit.end_round();
  for (int round = 0; round < 10 && !in.fit.settled(); ++round) {
    for_each_panel(in.base, in.post, [&](const Panel& b, const Panel& p) { in.fit.visit(b, p, in.c); });
    in.fit.end_round();
  }
  out.fitted = in.fit.fitted();
  if (total - out.fitted > kNothingLeft * total)
    out.rescaled =
        test_of(linalg::symmetry_sums(rescaled_x(in), relative_sigma(d)), chance.null_of_rest, chance.variance);
  return out;
}

}  // namespace gyro
