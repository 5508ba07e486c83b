// Pairs at the edge of what is defined: tiny, deficient, zero, equal, not finite.

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "gyro/spectra/pair.h"
#include "gyro/spectra/reference_svd.h"
#include "gyro/spectra/test_util.h"

namespace gyro {
namespace {

Matrix filled(int64_t rows, int64_t cols, const std::vector<double>& values) {
  Matrix m(rows, cols);
  std::copy(values.begin(), values.end(), m.data());
  return m;
}

// α, NF, energy: what sums over directions that a deficient matrix lacks is not a number; what does not is.
void expect_deficient(const PairMeasure& m, int64_t rank) {
  EXPECT_TRUE(has_flag(m, "rank_deficient"));
  EXPECT_EQ(m.rank, rank);
  EXPECT_EQ(m.method, Method::Svd);
  for (const double value : {m.nf, m.nf_error, m.nf_robust, m.nf_robust_error, m.polar_inner, m.q1_orthogonality,
                             m.q2_orthogonality, m.energy.scaling, m.energy.co_rotation, m.energy.counter_rotation}) {
    EXPECT_TRUE(std::isnan(value));
  }
  EXPECT_TRUE(std::isfinite(m.nf_chance));
}

constexpr std::pair<int64_t, int64_t> kShapes[] = {{20, 10}, {10, 20}, {10, 10}};

TEST(RankDeficient, BaseHasNoAlphaBelowK) {
  std::vector<double> sigma = linear_spectrum(10, 2, 1);
  sigma[9] = sigma[8] = 0;
  for (const auto& [d_in, d_out] : kShapes) {
    const Matrix base = with_spectrum(d_in, d_out, sigma, 1);
    const Matrix post = combined(1, base, 0.1, gaussian(d_in, d_out, 2));
    const PairMeasure m = compare(base, post);
    expect_deficient(m, 8);
    EXPECT_TRUE(std::isnan(m.alpha_mean) && std::isnan(m.alpha_std) && std::isnan(m.alpha_error));  // k = 9 > 8
    EXPECT_NEAR(m.energy.total, std::pow(frobenius(combined(1, post, -m.scale, base)), 2), 1e-12);
    EXPECT_TRUE(std::isfinite(m.relative_change) && std::isfinite(m.stable_rank));
  }
}

TEST(RankDeficient, BaseBeyondKKeepsAlpha) {
  std::vector<double> sigma = linear_spectrum(10, 2, 1);
  sigma[9] = 0;
  for (const auto& [d_in, d_out] : kShapes) {
    const Matrix base = with_spectrum(d_in, d_out, sigma, 3);
    const Matrix post = combined(1, base, 0.1, gaussian(d_in, d_out, 4));
    const PairMeasure m = compare(base, post);
    expect_deficient(m, 9);
    const ReferencePair exact = reference_pair<Quad>(base, post);
    EXPECT_NEAR(m.alpha_mean, exact.alpha_mean, m.alpha_error + 1e-15);
    EXPECT_NEAR(m.alpha_std, exact.alpha_std, m.alpha_error + 1e-15);
  }
}

TEST(RankDeficient, PostLosesDirections) {
  std::vector<double> sigma = linear_spectrum(10, 2, 1);
  for (const auto& [d_in, d_out] : kShapes) {
    const Matrix base = with_spectrum(d_in, d_out, linear_spectrum(10, 2, 1), 5);
    std::vector<double> lost = linear_spectrum(10, 2, 1);
    for (size_t j = 6; j < 10; ++j) lost[j] = 0;
    const Matrix post = with_spectrum(d_in, d_out, lost, 5);
    const PairMeasure m = compare(base, post);
    expect_deficient(m, 6);
    EXPECT_NEAR(m.alpha_mean, 6.0 / 9, m.alpha_error + 1e-14);  // k = 9, of which 6 kept
    EXPECT_LE(m.alpha_error, 1e-12);
  }
}

TEST(Zero, BaseOrPostOrBoth) {
  for (const auto& [d_in, d_out] : kShapes) {
    const Matrix zero = Matrix::zeros(d_in, d_out), some = gaussian(d_in, d_out, 6);
    const PairMeasure from_zero = compare(zero, some, {.null_nf_draws = 1});
    expect_deficient(from_zero, 0);
    EXPECT_TRUE(std::isnan(from_zero.alpha_mean));
    EXPECT_FALSE(std::isfinite(from_zero.scale));
    EXPECT_TRUE(std::isnan(from_zero.null.nf));
    EXPECT_FALSE(from_zero.sampled);
    const PairMeasure to_zero = compare(some, zero, {.null_nf_draws = 1});
    expect_deficient(to_zero, 0);
    EXPECT_EQ(to_zero.alpha_mean, 0);
    EXPECT_EQ(to_zero.scale, 0);
    EXPECT_DOUBLE_EQ(to_zero.relative_change, 1);
    EXPECT_FALSE(to_zero.null.nf_valid);
    const PairMeasure both = compare(zero, zero);
    expect_deficient(both, 0);
    EXPECT_TRUE(has_flag(both, "unchanged"));
    EXPECT_EQ(both.unchanged, 1);
  }
}

TEST(Tiny, OneByOne) {
  const PairMeasure m =
      compare(filled(1, 1, {2}), filled(1, 1, {3}), {.null_draws = 2, .null_nf_draws = 2, .corner = 25});
  EXPECT_EQ(m.n, 1);
  EXPECT_EQ(m.k, 1);
  EXPECT_DOUBLE_EQ(m.alpha_mean, 1.5);
  EXPECT_EQ(m.alpha_std, 0);
  EXPECT_NEAR(m.nf, 0, 1e-15);
  EXPECT_EQ(m.corner.size, 1);
  EXPECT_NEAR(m.corner.delta_q1.at(0), 1, 1e-6);
  const PairMeasure flipped = compare(filled(1, 1, {2}), filled(1, 1, {-3}));
  EXPECT_NEAR(flipped.nf, 2, 1e-14);  // (−1)(1) − 1
  EXPECT_DOUBLE_EQ(flipped.alpha_mean, 1.5);
  EXPECT_FALSE(flipped.null.nf_valid);
}

TEST(Tiny, OneRowOrColumn) {
  const std::vector<double> from = {3, 0, 4}, to = {0, 5, 12};
  for (const auto& [d_in, d_out] : {std::pair<int64_t, int64_t>{3, 1}, {1, 3}}) {
    const Matrix base = filled(d_in, d_out, from), post = filled(d_in, d_out, to);
    const PairMeasure m = compare(base, post, {.null_draws = 2, .null_nf_draws = 1, .corner = 2});
    EXPECT_EQ(m.n, 1);
    EXPECT_NEAR(m.alpha_mean, 13.0 / 5, 1e-14);
    const double cosine = 48.0 / 65;  // u_b · u_p
    EXPECT_NEAR(m.cosine, cosine, 1e-14);
    EXPECT_NEAR(m.nf, 1 - cosine, 1e-14);
    EXPECT_NEAR(d_in == 3 ? m.turn_u[0] : m.turn_v[0], 1 - cosine * cosine, 1e-14);
    EXPECT_NEAR(d_in == 3 ? m.turn_v[0] : m.turn_u[0], 0, 1e-15);
    EXPECT_NEAR(m.energy.leakage(), m.energy.total, 1e-12);  // c takes all along base
    EXPECT_NEAR(m.stable_rank, 1, 1e-12);
  }
}

TEST(Tiny, TwoByTwo) {
  // Σ = (2, 1); the post is turned by a quarter on the input side: P_p = R, ‖Rᵀ − I‖_F/2 = 2/2.
  const PairMeasure m = compare(filled(2, 2, {2, 0, 0, 1}), filled(2, 2, {0, 2, -1, 0}));
  EXPECT_EQ(m.k, 1);
  EXPECT_NEAR(m.alpha_mean, 1, 1e-15);
  EXPECT_NEAR(m.nf, 1, 1e-14);
  EXPECT_NEAR(m.turn_u[0], 1, 1e-14);
  EXPECT_NEAR(m.turn_v[0], 0, 1e-14);
  EXPECT_NEAR(m.scale, 0, 1e-15);
}

// Two square matrices whose determinants differ in sign: an orthogonal matrix of determinant −1 lies between them,
// which has an eigenvalue −1, so that Q_1 + Q_2 vanishes there. Unrelated ones: ΔQ then takes the eigenproblem of size
// n.
TEST(Mirrored, IsFlaggedWhereDeterminantsDifferInSign) {
  const int64_t n = 200;
  const Matrix base = gaussian(n, n, 1);
  Matrix post = gaussian(n, n, 2), mirrored = post.clone();
  for (int64_t j = 0; j < n; ++j) mirrored(0, j) *= -1;
  const PairOptions options{1, 0, 0, 25};
  EXPECT_NE(has_flag(compare(base, post, options), "mirrored_direction"),
            has_flag(compare(base, mirrored, options), "mirrored_direction"));
  EXPECT_FALSE(has_flag(compare(base, post), "mirrored_direction"));  // no corner is asked for
  EXPECT_FALSE(has_flag(compare(base, mirrored), "mirrored_direction"));
}

// The same of related ones, where a few steps of Lanczos serve: the smallest singular value has changed its sign.
TEST(Mirrored, IsFlaggedOfRelatedMatricesToo) {
  const int64_t n = 64;
  for (const uint64_t seed : {1, 2, 3, 4, 5, 6}) {
    const Matrix base = gaussian(n, n, seed), noise = gaussian(n, n, seed + 100);
    const linalg::Svd svd = linalg::svd(base.clone());
    const Matrix last = times(svd.u.view().block(0, n - 1, n, 1), transposed(svd.v.view().block(0, n - 1, n, 1)));
    const Matrix flipped = combined(1, base, -2 * svd.values.back(), last);
    const PairOptions options{1, 0, 0, 25};
    const bool near = has_flag(compare(base, combined(1, base, 1e-3, noise), options), "mirrored_direction");
    EXPECT_NE(near, has_flag(compare(base, combined(1, flipped, 1e-3, noise), options), "mirrored_direction")) << seed;
  }
}

TEST(RankDeficient, HasNoLeakageEither) {
  std::vector<double> sigma = linear_spectrum(10, 2, 1);
  sigma[9] = 0;
  const Matrix base = with_spectrum(20, 10, sigma, 21);
  EXPECT_TRUE(std::isnan(compare(base, combined(1, base, 0.1, gaussian(20, 10, 22))).energy.leakage()));
}

// What is left beside c W_b is rounding of the larger of the two.
TEST(NoResidual, OfAHugeMultiple) {
  const Matrix base = with_spectrum(30, 20, linear_spectrum(20, 1, 0.3), 23);
  for (const double c : {0.3e7, 1e-7, -0.7}) {
    const PairMeasure m = compare(base, combined(c, base, 0, base));
    EXPECT_TRUE(has_flag(m, "no_residual")) << c;
    EXPECT_EQ(m.energy.total, 0);
    EXPECT_TRUE(std::isnan(m.stable_rank) && std::isnan(m.update_rank) && std::isnan(m.symmetry.whole.product));
  }
}

// X, S and A take all n directions.
TEST(Clusters, AreLookedForAmongAllDirections) {
  std::vector<double> sigma = linear_spectrum(20, 2, 1);
  EXPECT_FALSE(has_flag(compare(with_spectrum(30, 20, sigma, 24), gaussian(30, 20, 25)), "degenerate_cluster"));
  sigma[18] = sigma[19];
  EXPECT_TRUE(has_flag(compare(with_spectrum(30, 20, sigma, 24), gaussian(30, 20, 25)), "degenerate_cluster"));
}

// Everything but sigma and the energy's unit is the same whatever the weights' scale.
TEST(Scales, OfFp64) {
  const Matrix base = with_spectrum(30, 20, linear_spectrum(20, 2, 1), 26), noise = gaussian(30, 20, 27);
  const Matrix post = combined(0.9, base, 0.01, noise);
  const PairMeasure one = compare(base, post);
  for (const double scale : {0x1p-1000, 0x1p-660, 0x1p-515, 0x1p-90, 0x1p90, 0x1p400, 0x1p515, 0x1p900}) {
    const PairMeasure m = compare(combined(scale, base, 0, base), combined(scale, post, 0, post));
    EXPECT_EQ(m.method, one.method) << scale;
    EXPECT_NEAR(m.alpha_std, one.alpha_std, 1e-12) << scale;
    EXPECT_NEAR(m.nf, one.nf, 1e-12) << scale;
    EXPECT_NEAR(m.cosine, one.cosine, 1e-14) << scale;
    EXPECT_NEAR(m.stable_rank, one.stable_rank, 1e-6) << scale;
    EXPECT_EQ(m.update_rank, one.update_rank) << scale;
    EXPECT_NEAR(m.energy.co_rotation / m.energy.total, one.energy.co_rotation / one.energy.total, 1e-10) << scale;
    EXPECT_NEAR(m.symmetry.whole.product / m.symmetry.whole.energy,
                one.symmetry.whole.product / one.symmetry.whole.energy, 1e-9)
        << scale;
    EXPECT_NEAR(m.sampled->alpha_std, one.sampled->alpha_std, 1e-9) << scale;
    for (size_t j = 0; j < m.sigma.size(); ++j) EXPECT_NEAR(m.sigma[j] / scale, one.sigma[j], 1e-12) << scale;
  }
}

// F64 is wide enough for the product of two squared norms only up to 1e77.
TEST(Scales, CosineOfMatricesFarApart) {
  const Matrix base = gaussian(8, 6, 28);
  EXPECT_NEAR(compare(base, combined(1e120, base, 0, base)).cosine, 1, 1e-14);
  EXPECT_NEAR(compare(base, combined(-1e120, base, 0, base)).cosine, -1, 1e-14);
}

TEST(NotFinite, NamesTheTensorAndCounts) {
  const Matrix good = gaussian(6, 4, 7);
  Matrix bad = good.clone();
  bad(0, 0) = bad(5, 3) = std::nan("");
  bad(2, 1) = -std::numeric_limits<double>::infinity();
  const std::string expected = "holds 2 NaN and 1 infinite values of 24";
  EXPECT_EQ(error_of([&] { compare(bad, good); }), "base.weight: " + expected);
  EXPECT_EQ(error_of([&] { compare(good, bad); }), "post.weight: " + expected);
  bad = good.clone();
  bad(1, 1) = 1e200;
  EXPECT_TRUE(contains(error_of([&] { compare(good, bad); }), "post.weight: its values are too large"));
}

TEST(Compare, RefusesOtherShapes) {
  const Matrix base = gaussian(6, 4, 8), turned = gaussian(4, 6, 9), larger = gaussian(7, 4, 10);
  EXPECT_THROW(compare(base, turned), std::logic_error);
  EXPECT_THROW(compare(base, larger), std::logic_error);
}

TEST(Compare, OneBaseServesManyPosts) {
  const Matrix base = with_spectrum(16, 12, geometric_spectrum(12, 1e9), 11);
  const Matrix near = combined(0.9, base, 0.01, gaussian(16, 12, 12)), far = gaussian(16, 12, 13);
  BaseMatrix matrix(weight_of(base, "base.weight"));
  for (const Matrix* post : {&near, &far, &near}) {
    const PairMeasure shared = matrix.compare(weight_of(*post), {}), alone = compare(base, *post);
    EXPECT_EQ(shared.nf, alone.nf);
    EXPECT_EQ(shared.alpha_std, alone.alpha_std);
    EXPECT_EQ(shared.sampled->alpha_std, alone.sampled->alpha_std);
  }
}

}  // namespace
}  // namespace gyro
