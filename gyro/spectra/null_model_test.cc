#include "gyro/spectra/null_model.h"

#include <gtest/gtest.h>

#include <cmath>

#include "gyro/linalg/linalg.h"
#include "gyro/spectra/moments.h"
#include "gyro/spectra/test_util.h"

namespace gyro {
namespace {

/// A model whose noise relative to c is `s`.
NullModel model_of(int64_t m, std::vector<double> sigma, double c, double s) {
  NullModel model;
  model.m = m;
  model.n = static_cast<int64_t>(sigma.size());
  model.k = std::max<int64_t>(1, model.n * 9 / 10);
  model.scale = c;
  model.residual_norm = s * std::abs(c) * std::sqrt(static_cast<double>(m * model.n));
  model.sigma = std::move(sigma);
  return model;
}

TEST(Moments, AreThoseOfTheirValues) {
  Moments left, right, all;
  const double values[] = {3, 1, 4, 1, 5, 9, 2, 6};
  for (int i = 0; i < 8; ++i) {
    (i < 3 ? left : right).add(values[i]);
    all.add(values[i]);
  }
  left.add(right);
  left.add(Moments());
  // Σ = 31, Σ² = 173.
  for (const Moments& m : {left, all, Moments::of(8, 31.0 / 8, std::sqrt(173.0 / 8 - 31.0 * 31 / 64))}) {
    EXPECT_EQ(m.count(), 8);
    EXPECT_NEAR(m.mean(), 31.0 / 8, 1e-14);
    EXPECT_NEAR(m.deviation(), std::sqrt(173.0 / 8 - 31.0 * 31 / 64), 1e-14);
    EXPECT_NEAR(m.sample_deviation(), m.deviation() * std::sqrt(8.0 / 7), 1e-14);
  }
  EXPECT_TRUE(std::isnan(Moments().mean()));
  EXPECT_TRUE(std::isnan(Moments::of(1, 2, 0).sample_deviation()));
}

TEST(ClosedForm, IsTheStatedFormula) {
  const NullModel model = model_of(30, {3, 2.5, 1.5, 1.25, 1, 0.9, 0.7, 0.6, 0.5, 0.25}, 0.8, 0.002);
  const double s = 0.002, n = 10, k = 9;
  EXPECT_NEAR(model.noise(), s, 1e-17);
  double all = 0, leading = 0, fourth = 0, mean = 0, squares = 0;
  for (size_t i = 0; i < 10; ++i) {
    for (size_t j = 0; j < 10; ++j) {
      if (i == j) continue;
      const double sum = model.sigma[i] + model.sigma[j];
      all += 1 / (sum * sum);
      if (i < 9 && j < 9) leading += 1 / (sum * sum);
      if (i < 9 && j < 9) fourth += 1 / std::pow(sum, 4);
    }
  }
  for (size_t j = 0; j < 9; ++j) {
    const double square = model.sigma[j] * model.sigma[j];
    mean += 1 / (square - 0.25 * 0.25) + (30 - 10) / 2.0 / square;
    squares += 1 / square / k;
  }
  const NullClosedForm closed = null_closed_form(model);
  EXPECT_NEAR(closed.nf, s / n * std::sqrt(2 * all), 1e-15);
  EXPECT_NEAR(closed.nf_robust, s / k * std::sqrt(2 * leading), 1e-15);
  EXPECT_NEAR(closed.nf_robust_sd, 2 * s * s / (k * k * closed.nf_robust) * std::sqrt(fourth), 1e-15);
  EXPECT_NEAR(closed.alpha_mean, 0.8 * (1 + s * s / k * mean), 1e-14);
  EXPECT_NEAR(closed.alpha_std, 0.8 * s * std::sqrt(squares), 1e-15);
  EXPECT_TRUE(closed.nf_valid);
  EXPECT_TRUE(closed.alpha_valid);
}

TEST(ClosedForm, SaysWhereItDoesNotHold) {
  const std::vector<double> sigma = linear_spectrum(20, 2, 1);  // spacing 1/19
  EXPECT_TRUE(null_closed_form(model_of(40, sigma, 1, 0.005)).alpha_valid);
  EXPECT_FALSE(null_closed_form(model_of(40, sigma, 1, 0.0054)).alpha_valid);
  EXPECT_TRUE(null_closed_form(model_of(40, sigma, 1, 0.005)).nf_valid);
  EXPECT_FALSE(null_closed_form(model_of(40, sigma, -1, 0.005)).nf_valid);
  // NF_null/chance grows with s: valid just below 0.3, not just above.
  const double at_one = null_closed_form(model_of(40, sigma, 1, 1)).nf / nf_chance(40, 20);
  EXPECT_TRUE(null_closed_form(model_of(40, sigma, 1, 0.299 / at_one)).nf_valid);
  EXPECT_FALSE(null_closed_form(model_of(40, sigma, 1, 0.301 / at_one)).nf_valid);
}

// A graded spectrum: small values feel all rows of the noise at once, whatever the median spacing is.
TEST(ClosedForm, OfTheDeviationHoldsForNoiseBelowTheSmallestValue) {
  const std::vector<double> sigma = geometric_spectrum(60, 100);
  int invalid = 0;
  for (const double s : {1e-5, 1e-4, 2e-4, 5e-4, 1e-3}) {
    const NullModel model = model_of(100, sigma, 1, s);
    const NullClosedForm closed = null_closed_form(model);
    const double actual = sample_null(model, 20, 0, 3).alpha_std;
    if (closed.alpha_valid) {
      EXPECT_NEAR(closed.alpha_std, actual, 0.1 * actual) << s;
    } else {
      ++invalid;
    }
  }
  EXPECT_GE(invalid, 1);
  // s is below a tenth of the median spacing, but not s m below σ_k.
  std::vector<double> steep = linear_spectrum(20, 2, 1);
  steep[17] = 0.02;
  steep[18] = steep[19] = 0.01;
  EXPECT_FALSE(null_closed_form(model_of(40, steep, 1, 0.002)).alpha_valid);
  EXPECT_TRUE(null_closed_form(model_of(40, steep, 1, 0.0004)).alpha_valid);
}

TEST(ClosedForm, ClusteredAndVanishingValues) {
  std::vector<double> sigma = linear_spectrum(20, 2, 1);
  sigma[18] = sigma[17];  // σ_k = σ_{k+1}: the repulsion's sum does not exist
  const NullClosedForm clustered = null_closed_form(model_of(40, sigma, 1, 1e-4));
  EXPECT_TRUE(std::isnan(clustered.alpha_mean));
  EXPECT_FALSE(clustered.alpha_valid);
  EXPECT_TRUE(std::isfinite(clustered.nf));
  sigma[18] = sigma[19] = 0;
  const NullClosedForm deficient = null_closed_form(model_of(40, sigma, 1, 1e-4));
  EXPECT_TRUE(std::isnan(deficient.nf));
  EXPECT_FALSE(deficient.nf_valid);
}

TEST(Chance, OfUnrelatedMatrices) {
  EXPECT_DOUBLE_EQ(nf_chance(100, 25), std::sqrt(0.05));
}

// The spectra, sizes and noise in which first order holds: linear 2 ... 1, so that (s/σ)² corrections are below 1e-5.
const NullModel kModels[] = {model_of(32, linear_spectrum(32, 2, 1), 1, 0.002),
                             model_of(100, linear_spectrum(24, 2, 1), 0.9, 0.003),
                             model_of(60, linear_spectrum(40, 3, 0.5), 1.1, 0.002)};

// A mean over N draws of deviation d has the standard error d/√N (d as the sample gives it): tolerances are 5 of them.
constexpr int64_t kDraws = 600;
const double kErrors = 5 / std::sqrt(double{kDraws});

TEST(ClosedForm, MeetsDraws) {
  for (const NullModel& model : kModels) {
    const NullClosedForm closed = null_closed_form(model);
    const NullSample sample = sample_null(model, kDraws, kDraws, 1);
    ASSERT_TRUE(closed.nf_valid && closed.alpha_valid);
    ASSERT_EQ(sample.nf_draws, kDraws);
    // E‖·‖ falls short of √E‖·‖² by sd²/(2‖·‖²).
    const double concave = 1 - std::pow(closed.nf_robust_sd / closed.nf_robust, 2) / 2;
    EXPECT_NEAR(sample.nf_robust, closed.nf_robust * concave, kErrors * sample.nf_robust_sd);
    EXPECT_NEAR(sample.nf, closed.nf * (1 - std::pow(sample.nf_sd / sample.nf, 2) / 2), kErrors * sample.nf_sd);
    // A deviation of N nearly normal values is known to 1/√(2N).
    EXPECT_NEAR(sample.nf_robust_sd, closed.nf_robust_sd, kErrors / std::sqrt(2.0) * closed.nf_robust_sd);
    // The mean over k values of deviation alpha_std.
    const double mean_sd = closed.alpha_std / std::sqrt(static_cast<double>(model.k));
    EXPECT_NEAR(sample.alpha_mean, closed.alpha_mean, kErrors * mean_sd);
  }
}

// The closed form of α's spread pools the k variances v_j = (s/σ_j)². What a draw's population deviation of k such
// values gives on average is less by the lost degree of freedom, v(1 − 1/k), and by the root's concavity,
// 1 − Var(S²)/(8 E(S²)²) with Var(S²) = 2 mean(v_j²)/k.
TEST(ClosedForm, MeetsTheSpreadOfDraws) {
  for (const NullModel& model : kModels) {
    const auto k = static_cast<double>(model.k);
    double v = 0, v2 = 0;
    for (int64_t j = 0; j < model.k; ++j) {
      const double one = std::pow(model.noise() / model.sigma[static_cast<size_t>(j)], 2);
      v += one / k;
      v2 += one * one / k;
    }
    const double expected = std::sqrt(v * (1 - 1 / k)) * (1 - 2 * v2 / k / (8 * v * v));
    const NullSample sample = sample_null(model, kDraws, 0, 2);
    // Terms of the next order in 1/k: 1/k² of the value.
    EXPECT_NEAR(sample.alpha_std, model.scale * expected, kErrors * sample.alpha_std_sd + sample.alpha_std / (k * k));
    EXPECT_NEAR(null_closed_form(model).alpha_std, model.scale * std::sqrt(v), 1e-15);
  }
}

/// Draws of c W_b + E with the whole m x n noise in the base's coordinates, W_b = [Σ; 0].
NullSample full_draws(const NullModel& model, int64_t draws) {
  Moments means, deviations, nf, nf_robust;
  const int64_t n = model.n, k = model.k;
  for (int64_t draw = 0; draw < draws; ++draw) {
    const Matrix noise = gaussian(model.m, n, mix64(static_cast<uint64_t>(draw) + 77));
    Matrix w = combined(model.noise() * std::abs(model.scale), noise, 0, noise);
    for (int64_t j = 0; j < n; ++j) w(j, j) += model.scale * model.sigma[static_cast<size_t>(j)];
    const linalg::Svd svd = linalg::svd(std::move(w));
    Moments alpha;
    for (int64_t j = 0; j < k; ++j) alpha.add(svd.values[static_cast<size_t>(j)] / model.sigma[static_cast<size_t>(j)]);
    means.add(alpha.mean());
    deviations.add(alpha.deviation());
    // I_orth = U_pᵀ P_b V_p with P_b = [I; 0]: the first n rows of U_p are Q_1, V_p is Q_2.
    Matrix i_orth = times(transposed(svd.u.view().block(0, 0, n, n)), svd.v);
    for (int64_t j = 0; j < n; ++j) i_orth(j, j) -= 1;
    nf.add(frobenius(i_orth) / static_cast<double>(n));
    nf_robust.add(frobenius(i_orth.view().block(0, 0, k, k)) / static_cast<double>(k));
  }
  NullSample out;
  out.alpha_mean = means.mean();
  out.alpha_std = deviations.mean();
  out.alpha_std_sd = deviations.sample_deviation();
  out.nf = nf.mean();
  out.nf_sd = nf.sample_deviation();
  out.nf_robust = nf_robust.mean();
  out.nf_robust_sd = nf_robust.sample_deviation();
  return out;
}

// Bartlett's shortcut has the same law as the full noise at any size of noise: small, of the size of σ, and with a
// negative c. m − n on both sides of n and of a block of 128 rows. Two means over N draws differ by √2 standard errors.
TEST(SampleNull, BartlettIsTheFullNoise) {
  const NullModel models[] = {model_of(20, linear_spectrum(12, 2, 1), 1, 0.05),
                              model_of(60, linear_spectrum(12, 2, 1), 0.9, 0.3),
                              model_of(14, linear_spectrum(14, 2, 0.1), 1, 0.2),
                              model_of(40, linear_spectrum(12, 2, 0.5), -1, 0.1), model_of(13, {2}, 1, 0.3)};
  constexpr int64_t kFull = 400;
  const double errors = 5 * std::sqrt(2.0 / kFull);
  for (const NullModel& model : models) {
    const NullSample full = full_draws(model, kFull), quick = sample_null(model, kFull, kFull, 3);
    SCOPED_TRACE(fmt::format("m = {}, n = {}, c = {}", model.m, model.n, model.scale));
    const double mean_sd = 2 * model.noise() * std::abs(model.scale) / model.sigma.back();  // generous: k ≥ 1 values
    EXPECT_NEAR(quick.alpha_mean, full.alpha_mean, errors * mean_sd / std::sqrt(static_cast<double>(model.k)));
    EXPECT_NEAR(quick.alpha_std, full.alpha_std, errors * full.alpha_std_sd);
    EXPECT_NEAR(quick.nf, full.nf, errors * full.nf_sd + 1e-15);
    EXPECT_NEAR(quick.nf_robust, full.nf_robust, errors * full.nf_robust_sd + 1e-15);
    // Deviations of N values each to 1/√(2N), more for NF's skew: a half of the bound above again.
    EXPECT_NEAR(quick.alpha_std_sd, full.alpha_std_sd, 1.5 * errors * full.alpha_std_sd);
    EXPECT_NEAR(quick.nf_robust_sd, full.nf_robust_sd, 1.5 * errors * full.nf_robust_sd + 1e-15);
  }
}

// Several blocks of 128 rows in the Bartlett factor: E tr(WᵀW) = c²Σσ² + s²c² m n, and singular values of the first
// block alone would miss most of it.
TEST(SampleNull, ManyBlocks) {
  const NullModel model = model_of(600, std::vector<double>(200, 1e-6), 1, 1);
  NullModel all = model;
  all.k = 200;
  const NullSample sample = sample_null(all, 6, 0, 4);
  // α²'s mean over all n is tr/(n σ²) = (m s²)/σ² (1 ± √(2/(m n)/draws)); mean² + std² is that, to the spread of draws.
  const double mean_square = sample.alpha_mean * sample.alpha_mean + sample.alpha_std * sample.alpha_std;
  EXPECT_NEAR(mean_square * 1e-12, 600, 600 * 5 * std::sqrt(2.0 / (600 * 200 * 6)) + 1e-3);
}

TEST(SampleNull, DependsOnSeedAndNumberOfTheDrawAlone) {
  const NullModel model = model_of(30, linear_spectrum(10, 2, 1), 0.9, 0.1);
  const NullSample one = sample_null(model, 1, 0, 5), again = sample_null(model, 1, 0, 5),
                   other = sample_null(model, 1, 0, 6);
  EXPECT_EQ(one.alpha_std, again.alpha_std);
  EXPECT_NE(one.alpha_std, other.alpha_std);
  EXPECT_TRUE(std::isnan(one.alpha_std_sd));
  EXPECT_TRUE(std::isnan(one.nf));
  const NullSample two = sample_null(model, 2, 0, 5);
  EXPECT_NE(two.alpha_mean, one.alpha_mean);
  // With vectors the singular values stay the same.
  EXPECT_NEAR(sample_null(model, 2, 2, 5).alpha_mean, two.alpha_mean, 1e-13);
  const NullSample more_vectors = sample_null(model, 1, 4, 5);
  EXPECT_EQ(more_vectors.nf_draws, 4);
  EXPECT_EQ(more_vectors.alpha_draws, 4);
}

}  // namespace
}  // namespace gyro
