#include "gyro/spectra/null_model.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "gyro/base/clones.h"
#include "gyro/base/random.h"
#include "gyro/linalg/linalg.h"
#include "gyro/spectra/moments.h"
#include "gyro/spectra/rotation.h"

namespace gyro {
namespace {

using linalg::Op;
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

struct InverseSums {
  double second = 0;  // Σ_{i≠j} (σ_i + σ_j)^-2
  double fourth = 0;  // Σ_{i≠j} (σ_i + σ_j)^-4
};

GYRO_CLONES void add_inverse_sums(const double* sigma, int64_t j, int64_t n, double& second, double& fourth) {
  double sum2 = 0, sum4 = 0;
  for (int64_t i = j + 1; i < n; ++i) {
    const double inverse = 1 / (sigma[i] + sigma[j]);
    const double square = inverse * inverse;
    sum2 += square;
    sum4 += square * square;
  }
  second += 2 * sum2;
  fourth += 2 * sum4;
}

InverseSums inverse_sums(const std::vector<double>& sigma, int64_t n) {
  InverseSums sums;
  for (int64_t j = 0; j < n; ++j) add_inverse_sums(sigma.data(), j, n, sums.second, sums.fourth);
  return sums;
}

// Second-order shift of the mean of α over the top k: level repulsion from the tail and the noise of the m − n other
// rows.
double mean_shift(const NullModel& model) {
  const auto& sigma = model.sigma;
  double sum = 0;
  for (int64_t j = 0; j < model.k; ++j) {
    const double square = sigma[j] * sigma[j];
    for (int64_t i = model.k; i < model.n; ++i) sum += 1 / (square - sigma[i] * sigma[i]);
    sum += static_cast<double>(model.m - model.n) / 2 / square;
  }
  return model.noise() * model.noise() / static_cast<double>(model.k) * sum;
}

double median_spacing(const std::vector<double>& sigma, int64_t k) {
  if (k < 2) return sigma[0];
  std::vector<double> gaps;
  for (int64_t j = 0; j + 1 < k; ++j) gaps.push_back(sigma[j] - sigma[j + 1]);
  return median(std::move(gaps));
}

// G += RᵀR (lower), R the upper-trapezoidal Bartlett factor of (rows x n) gaussian noise, a block of rows at a time.
void add_bartlett_gram(Matrix& g, int64_t rows, double deviation, uint64_t seed) {
  const int64_t block_rows = g.space() == Space::Host ? linalg::kRandomRows : 8 * linalg::kRandomRows;
  const int64_t n = g.rows(), height = std::min(rows, n);
  for (int64_t begin = 0; begin < height; begin += block_rows) {
    Matrix block(std::min(block_rows, height - begin), n - begin, g.space());
    linalg::fill_bartlett(block, deviation, seed, begin, rows);
    linalg::syrk(Op::Transpose, 1, block, 1, g.view().block(begin, begin, n - begin, n - begin));
  }
}

struct Draw {
  Matrix top;   // cΣ + Z
  Matrix gram;  // lower triangle of topᵀ top + RᵀR
};

double deviation_of(const NullModel& model) {
  return model.noise() * std::abs(model.scale);
}

// The seed of the rows below the top ones.
uint64_t rest_seed(uint64_t seed) {
  return mix64(seed + 1);
}

uint64_t seed_of_draw(uint64_t seed, int64_t number) {
  return mix64(mix64(seed) ^ static_cast<uint64_t>(number));
}

Draw draw_null(const NullModel& model, double scale, uint64_t seed) {
  const double deviation = deviation_of(model);
  Draw draw{Matrix(model.n, model.n), Matrix(model.n, model.n)};
  linalg::fill_normal(draw.top, deviation, mix64(seed), 0, 0);
  std::vector<double> signal = model.sigma;
  for (double& s : signal) s *= scale;
  linalg::add_to_diagonal(draw.top, signal);
  linalg::syrk(Op::Transpose, 1, draw.top, 0, draw.gram);
  add_bartlett_gram(draw.gram, model.m - model.n, deviation, rest_seed(seed));
  return draw;
}

// Whether the eigenvalues of a Gram matrix give the k-th singular value to 1e-5: they are right to about n u λ_1.
bool resolves(const std::vector<double>& eigenvalues, int64_t k) {
  const double error = static_cast<double>(eigenvalues.size()) * 0x1p-53 * eigenvalues[0];
  return 0.5 * error <= 1e-5 * eigenvalues[static_cast<size_t>(k - 1)];
}

// Singular values of the draw [cΣ + Z; R] itself.
std::vector<double> direct_sigma(const NullModel& model, const Draw& draw, uint64_t seed) {
  const int64_t rows = model.m - model.n, height = std::min(rows, model.n);
  Matrix stack = Matrix::zeros(model.n + height, model.n, draw.top.space());
  copy(draw.top, stack.view().block(0, 0, model.n, model.n));
  linalg::fill_bartlett(stack.view().block(model.n, 0, height, model.n), deviation_of(model), rest_seed(seed), 0, rows);
  return linalg::svd(std::move(stack)).values;
}

// ‖σ − |c|σ_b‖ / (|c| ‖σ_b‖)
double spectral_shift(const NullModel& model, const std::vector<double>& sigma) {
  const double c = std::abs(model.scale);
  double shift = 0, size = 0;
  for (size_t j = 0; j < sigma.size(); ++j) {
    const double base = c * model.sigma[j];
    shift += (sigma[j] - base) * (sigma[j] - base);
    size += base * base;
  }
  return std::sqrt(shift / size);
}

Moments alpha_moments(const NullModel& model, const std::vector<double>& sigma) {
  Moments moments;
  for (int64_t j = 0; j < model.k; ++j) {
    moments.add(sigma[static_cast<size_t>(j)] / model.sigma[static_cast<size_t>(j)]);
  }
  return moments;
}

std::vector<double> roots(std::vector<double> eigenvalues) {
  for (double& value : eigenvalues) value = std::sqrt(std::max(value, 0.0));
  return eigenvalues;
}

// In the base's coordinates Q_short is the draw's eigenvectors V and Q_long = (cΣ + Z) V / σ.
void add_nf(const NullModel& model, const Draw& draw, const linalg::Eigh& e, Moments& nf, Moments& nf_robust) {
  const int64_t n = model.n, k = model.k;
  Matrix d = linalg::product(Op::None, Op::None, draw.top, e.vectors);
  linalg::divide_columns(d, roots(e.values));
  linalg::add(-1, e.vectors, d);
  nf.add(linalg::norm(d) / static_cast<double>(n));
  nf_robust.add(leading_block_norm(d, e.vectors, k) / static_cast<double>(k));
}

}  // namespace

double NullModel::noise() const {
  return residual_norm / (std::abs(scale) * std::sqrt(static_cast<double>(m) * static_cast<double>(n)));
}

double nf_chance(int64_t m, int64_t k) {
  return std::sqrt(1.0 / static_cast<double>(m) + 1.0 / static_cast<double>(k));
}

NullClosedForm null_closed_form(const NullModel& model) {
  const double s = model.noise();
  const double n = static_cast<double>(model.n), k = static_cast<double>(model.k);
  NullClosedForm out;
  const InverseSums all = inverse_sums(model.sigma, model.n);
  const InverseSums leading = inverse_sums(model.sigma, model.k);
  out.nf = s / n * std::sqrt(2 * all.second);
  out.nf_robust = s / k * std::sqrt(2 * leading.second);
  out.nf_robust_sd = 2 * s * s / (k * k * out.nf_robust) * std::sqrt(leading.fourth);
  out.nf_valid = model.scale > 0 && out.nf <= 0.3 * nf_chance(model.m, model.n);
  double size = 0;
  for (const double sigma : model.sigma) size += sigma * sigma;
  out.nss_c = s * std::sqrt(std::max(0.0, n - 1.5) / size);  // the mean length of n − 1 normal numbers
  out.nss_c_sd = s / std::sqrt(2 * size);
  double inverse_squares = 0;
  for (int64_t j = 0; j < model.k; ++j) inverse_squares += 1 / (model.sigma[j] * model.sigma[j]);
  out.alpha_mean = std::abs(model.scale) * (1 + mean_shift(model));
  out.alpha_std = std::abs(model.scale) * s * std::sqrt(inverse_squares / k);
  // The second order beside the first is s m / 2σ, largest at σ_k.
  out.alpha_valid = s < 0.1 * median_spacing(model.sigma, model.k) &&
                    s * static_cast<double>(model.m) < model.sigma[static_cast<size_t>(model.k - 1)] &&
                    std::isfinite(out.alpha_mean);
  double second = 0;  // Σ (second order / s)²
  for (const double sigma : model.sigma)
    second += std::pow(0.5 * s * static_cast<double>(model.m - model.n) / sigma, 2);
  out.nss_c_valid = out.alpha_valid && second < std::sqrt(2 * n) / 3;
  for (double* value : {&out.nf, &out.nf_robust, &out.nf_robust_sd, &out.alpha_mean, &out.alpha_std}) {
    if (!std::isfinite(*value)) *value = kNaN;
  }
  return out;
}

NullSample sample_null(const NullModel& model, int64_t draws, int64_t nf_draws, uint64_t seed) {
  Moments means, deviations, shifts, nf, nf_robust;
  for (int64_t i = 0; i < std::max(draws, nf_draws); ++i) {
    const uint64_t draw_seed = seed_of_draw(seed, i);
    const bool vectors = i < nf_draws;
    // α is the same for c and |c| in law; NF is of the true sign.
    Draw draw = draw_null(model, vectors ? model.scale : std::abs(model.scale), draw_seed);
    linalg::Eigh e;
    if (vectors) {
      e = linalg::eigh(std::move(draw.gram));
      add_nf(model, draw, e, nf, nf_robust);
    } else {
      e.values = linalg::eigvalsh(std::move(draw.gram));
    }
    const std::vector<double> sigma =
        resolves(e.values, model.k) ? roots(e.values) : direct_sigma(model, draw, draw_seed);
    const Moments alpha = alpha_moments(model, sigma);
    shifts.add(spectral_shift(model, sigma));
    means.add(alpha.mean());
    deviations.add(alpha.deviation());
  }
  NullSample out;
  out.alpha_draws = means.count();
  out.alpha_mean = means.mean();
  out.alpha_std = deviations.mean();
  out.alpha_std_sd = deviations.sample_deviation();
  out.nss_c = shifts.mean();
  out.nss_c_sd = shifts.sample_deviation();
  out.nf_draws = nf.count();
  out.nf = nf.mean();
  out.nf_sd = nf.sample_deviation();
  out.nf_robust = nf_robust.mean();
  out.nf_robust_sd = nf_robust.sample_deviation();
  return out;
}

DrawnVectors draw_vectors(const NullModel& model, int64_t count, uint64_t seed) {
  Draw draw = draw_null(model, model.scale, seed_of_draw(seed, 0));
  linalg::Eigh e = linalg::eigh(std::move(draw.gram));
  const ConstMatrixView leading = e.vectors.view().block(0, 0, model.n, count);
  DrawnVectors out{linalg::product(Op::None, Op::None, draw.top, leading), Matrix(model.n, count, leading.space)};
  copy(leading, out.q_short);
  e.values.resize(static_cast<size_t>(count));
  linalg::divide_columns(out.q_long, roots(std::move(e.values)));
  return out;
}

Matrix noise_weight(const Weight& base, double scale, double residual_norm, uint64_t seed) {
  Matrix out(base.cols, base.rows, base.space);
  linalg::fill_normal(out, 1, seed, 0, 0);
  linalg::multiply_rows(out, std::vector<double>(static_cast<size_t>(base.cols), residual_norm / linalg::norm(out)));
  constexpr int64_t kRows = 1024;
  Matrix values(base.cols, std::min(kRows, base.rows), base.space);
  for (int64_t begin = 0; begin < base.rows; begin += kRows) {
    const int64_t count = std::min(kRows, base.rows - begin);
    const MatrixView part = values.view().block(0, 0, base.cols, count);
    linalg::widen(base, begin, begin + count, 0, base.cols, part);
    linalg::add(scale, part, out.view().block(0, begin, base.cols, count));
  }
  return out;
}

}  // namespace gyro
