// The GPU's numbers against the CPU's: the same measures within 1e-9, the same flags and fallbacks.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "gyro/base/error.h"
#include "gyro/spectra/test_util.h"

namespace gyro {
namespace {

class OnGpu : public testing::Test {
 protected:
  void SetUp() override {
    if (device::gpus().empty()) GTEST_SKIP() << device::why_none();
  }
};

PairMeasure compare_on_gpu(const Matrix& base, const Matrix& post, const PairOptions& options) {
  const device::Scope scope(0);
  return compare(base, post, options);
}

void expect_close(double cpu, double gpu, double relative, const char* what) {
  if (std::isnan(cpu)) {
    EXPECT_TRUE(std::isnan(gpu)) << what;
  } else {
    EXPECT_NEAR(gpu, cpu, relative * std::abs(cpu) + 1e-13) << what;
  }
}

void expect_same(const PairMeasure& c, const PairMeasure& g) {
  EXPECT_EQ(c.method, g.method);
  EXPECT_EQ(c.rank, g.rank);
  EXPECT_EQ(c.flags, g.flags);
  EXPECT_EQ(c.unchanged, g.unchanged);
  expect_close(c.alpha_mean, g.alpha_mean, 1e-9, "alpha_mean");
  expect_close(c.alpha_std, g.alpha_std, 1e-9, "alpha_std");
  expect_close(c.nf, g.nf, 1e-9, "nf");
  expect_close(c.nf_robust, g.nf_robust, 1e-9, "nf_robust");
  expect_close(c.scale, g.scale, 1e-12, "scale");
  expect_close(c.relative_change, g.relative_change, 1e-12, "relative_change");
  expect_close(c.cosine, g.cosine, 1e-12, "cosine");
  expect_close(c.polar_inner, g.polar_inner, 1e-9, "polar_inner");
  expect_close(c.energy.total, g.energy.total, 1e-9, "energy");
  expect_close(c.energy.scaling, g.energy.scaling, 1e-8, "scaling");
  expect_close(c.energy.co_rotation, g.energy.co_rotation, 1e-8, "co_rotation");
  expect_close(c.energy.counter_rotation, g.energy.counter_rotation, 1e-8, "counter_rotation");
  expect_close(c.stable_rank, g.stable_rank, 1e-7, "stable_rank");
  expect_close(c.update_rank, g.update_rank, 1e-15, "update_rank");
  expect_close(c.sparse_expected, g.sparse_expected, 1e-12, "sparse_expected");
  expect_close(c.symmetry.whole.product / c.symmetry.whole.energy, g.symmetry.whole.product / g.symmetry.whole.energy,
               1e-8, "symmetric_share");
  expect_close(c.symmetry.whole.null, g.symmetry.whole.null, 1e-8, "symmetric_null");
  expect_close(c.symmetry.whole.variance, g.symmetry.whole.variance, 1e-8, "symmetric variance");
  expect_close(c.symmetry.side.turn / c.symmetry.whole.energy, g.symmetry.side.turn / g.symmetry.whole.energy, 1e-7,
               "turn");
  expect_close(c.symmetry.side.input / c.symmetry.whole.energy, g.symmetry.side.input / g.symmetry.whole.energy, 1e-7,
               "input");
  expect_close(c.symmetry.fitted, g.symmetry.fitted, 1e-7, "fitted");
  expect_close(c.symmetry.rescaled.product / c.symmetry.rescaled.energy,
               g.symmetry.rescaled.product / g.symmetry.rescaled.energy, 1e-6, "rescaled share");
  expect_close(c.rounding_norm, g.rounding_norm, 1e-12, "rounding_norm");
  ASSERT_EQ(c.sigma.size(), g.sigma.size());
  for (size_t j = 0; j < c.sigma.size(); ++j) EXPECT_NEAR(g.sigma[j], c.sigma[j], 1e-9 * c.sigma[0]);
  ASSERT_EQ(c.sampled.has_value(), g.sampled.has_value());
  if (c.sampled) {
    expect_close(c.sampled->alpha_mean, g.sampled->alpha_mean, 1e-9, "null alpha_mean");
    expect_close(c.sampled->alpha_std, g.sampled->alpha_std, 1e-8, "null alpha_std");
    expect_close(c.sampled->nf, g.sampled->nf, 1e-8, "null nf");
  }
  ASSERT_EQ(c.corner.size, g.corner.size);
  for (size_t i = 0; i < c.corner.delta_q1.size(); ++i) {
    EXPECT_NEAR(c.corner.delta_q1[i], g.corner.delta_q1[i], 1e-6);
    EXPECT_NEAR(c.corner.i_orth[i], g.corner.i_orth[i], 1e-6);
  }
}

Matrix moved(const Matrix& base, double c, double relative, uint64_t seed) {
  const Matrix g = gaussian(base.rows(), base.cols(), seed);
  return combined(c, base, relative * frobenius(base) / frobenius(g), g);
}

TEST_F(OnGpu, GramPath) {
  for (const auto& [d_in, d_out] : {std::pair<int64_t, int64_t>{90, 60}, {60, 90}, {64, 64}, {400, 300}, {600, 90}}) {
    const Matrix base = with_spectrum(d_in, d_out, linear_spectrum(std::min(d_in, d_out), 2, 0.5), 1);
    for (const double relative : {1e-5, 0.1, 3.0}) {
      const Matrix post = moved(base, 0.95, relative, 2);
      const PairOptions options{2, 1, 7, 25};
      expect_same(compare(base, post, options), compare_on_gpu(base, post, options));
    }
  }
}

// Scales of blocks, which the host reads from where they lie.
TEST_F(OnGpu, ScaledValues) {
  for (const auto& [d_in, d_out] : {std::pair<int64_t, int64_t>{90, 60}, {60, 90}}) {
    const Matrix values = combined(0.05, gaussian(d_in, d_out, 1), 0, gaussian(d_in, d_out, 1));
    const ScaledFp8 base(values, 48), post(moved(base.values(), 1, 0.02, 2), 48);
    const Weight plain = weight_of(values);
    for (const Weight* other : {&post.weight(), &plain}) {
      const PairMeasure c = BaseMatrix(*other).compare(base.weight(), {});
      const device::Scope scope(0);
      const PairMeasure g = BaseMatrix(*other).compare(base.weight(), {});
      expect_same(c, g);
      EXPECT_EQ(std::ranges::count(g.flags, "rounding_only"), other == &plain ? 1 : 0);
    }
  }
}

// Where matrices are ill-conditioned the printed bounds say how far two devices may be apart.
TEST_F(OnGpu, DirectPath) {
  const Matrix graded = with_spectrum(80, 60, geometric_spectrum(60, 1e10), 3);
  const Matrix post = moved(graded, 1, 1e-6, 4);
  const PairMeasure c = compare(graded, post), g = compare_on_gpu(graded, post, {});
  EXPECT_EQ(g.method, Method::Svd);
  EXPECT_EQ(c.method, Method::Svd);
  EXPECT_EQ(c.flags, g.flags);
  EXPECT_NEAR(c.alpha_mean, g.alpha_mean, c.alpha_error + g.alpha_error);
  EXPECT_NEAR(c.nf, g.nf, c.nf_error + g.nf_error);
  EXPECT_NEAR(c.nf_robust, g.nf_robust, c.nf_robust_error + g.nf_robust_error);
  expect_close(c.sampled->alpha_mean, g.sampled->alpha_mean, 1e-5, "null alpha_mean");

  std::vector<double> sigma = linear_spectrum(60, 2, 1);
  for (size_t j = 50; j < 60; ++j) sigma[j] = 0;
  const Matrix deficient = with_spectrum(80, 60, sigma, 5), grown = combined(1.01, deficient, 0, deficient);
  const PairMeasure m = compare_on_gpu(deficient, grown, {});
  EXPECT_EQ(m.rank, 50);
  EXPECT_EQ(m.flags, compare(deficient, grown).flags);
  EXPECT_TRUE(std::isnan(m.nf));
}

TEST_F(OnGpu, Unchanged) {
  const Matrix base = with_spectrum(50, 40, linear_spectrum(40, 2, 0.5), 6);
  expect_same(compare(base, base), compare_on_gpu(base, base, {}));
}

TEST_F(OnGpu, TheSameBitsAgain) {
  const Matrix base = with_spectrum(200, 150, linear_spectrum(150, 2, 0.5), 8), post = moved(base, 1, 0.1, 9);
  const PairMeasure a = compare_on_gpu(base, post, {1, 1, 3, 0}), b = compare_on_gpu(base, post, {1, 1, 3, 0});
  EXPECT_EQ(a.sigma, b.sigma);
  EXPECT_EQ(a.nf, b.nf);
  EXPECT_EQ(a.energy.co_rotation, b.energy.co_rotation);
  EXPECT_EQ(a.sampled->nf, b.sampled->nf);
}

TEST_F(OnGpu, NanIsNamedAndCounted) {
  const Matrix base = with_spectrum(50, 40, linear_spectrum(40, 2, 0.5), 11);
  Matrix post = base.clone();
  post(3, 4) = std::nan("");
  const device::Scope scope(0);
  try {
    compare(base, post);
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "post.weight: holds 1 NaN and 0 infinite values of 2000");
  }
}

}  // namespace
}  // namespace gyro
