// The quantities of quantities.h by their definitions, and their nulls by sampling.

#include "gyro/spectra/quantities.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <map>
#include <numeric>

#include "gyro/spectra/measure_quantities.h"
#include "gyro/spectra/moments.h"
#include "gyro/spectra/noise_spectrum.h"
#include "gyro/spectra/reference_svd.h"
#include "gyro/spectra/test_util.h"

namespace gyro {
namespace {

constexpr std::pair<int64_t, int64_t> kShapes[] = {{48, 30}, {30, 48}, {36, 36}};

Matrix base_of(int64_t d_in, int64_t d_out, uint64_t seed = 7) {
  return with_spectrum(d_in, d_out, linear_spectrum(std::min(d_in, d_out), 3, 0.4), seed);
}

// c W_b + noise of relative size `size`
Matrix noisy(const Matrix& base, double c, double size, uint64_t seed) {
  const Matrix e = gaussian(base.rows(), base.cols(), seed);
  return combined(c, base, size * frobenius(base) / frobenius(e), e);
}

// By definition, with vectors of another algorithm: uᵀE and E v for each vector.
struct ByDefinition {
  std::vector<double> u, v, uv;  // cumulative shares
};

double length_squared(const std::vector<double>& x) {
  return std::inner_product(x.begin(), x.end(), x.begin(), 0.0);
}

ByDefinition by_definition(const Matrix& base, const Matrix& e) {
  const auto svd = reference_svd<long double>(base);
  const double total = frobenius(e) * frobenius(e);
  const auto left = [&](size_t i) {
    std::vector<double> out;
    for (int64_t b = 0; b < e.cols(); ++b) {
      double sum = 0;
      for (int64_t a = 0; a < e.rows(); ++a) sum += static_cast<double>(svd.u[i][static_cast<size_t>(a)]) * e(a, b);
      out.push_back(sum);
    }
    return out;
  };
  const auto right = [&](size_t j) {
    std::vector<double> out;
    for (int64_t a = 0; a < e.rows(); ++a) {
      double sum = 0;
      for (int64_t b = 0; b < e.cols(); ++b) sum += e(a, b) * static_cast<double>(svd.v[j][static_cast<size_t>(b)]);
      out.push_back(sum);
    }
    return out;
  };
  ByDefinition out;
  double u = 0, v = 0;
  for (size_t j = 0; j < svd.sigma.size(); ++j) {
    out.u.push_back((u += length_squared(left(j))) / total);
    out.v.push_back((v += length_squared(right(j))) / total);
  }
  const size_t n = svd.sigma.size();
  std::vector<std::vector<double>> x;
  for (size_t i = 0; i < n; ++i) {
    const std::vector<double> row = left(i);
    x.emplace_back();
    for (size_t j = 0; j < n; ++j) {
      double entry = 0;
      for (size_t b = 0; b < row.size(); ++b) entry += row[b] * static_cast<double>(svd.v[j][b]);
      x.back().push_back(entry * entry);
    }
  }
  double block = 0;
  for (size_t k = 0; k < n; ++k) {
    for (size_t i = 0; i < k; ++i) block += x[i][k] + x[k][i];
    out.uv.push_back((block += x[k][k]) / total);
  }
  return out;
}

TEST(PrincipalShare, IsItsDefinition) {
  for (const auto& [d_in, d_out] : kShapes) {
    for (const double size : {1e-7, 1e-3, 0.3}) {
      const Matrix base = base_of(d_in, d_out), post = noisy(base, 0.98, size, 3);
      const PairMeasure m = compare(base, post);
      const ByDefinition expected = by_definition(base, combined(1, post, -m.scale, base));
      ASSERT_EQ(m.principal_u.size(), expected.u.size());
      const double tolerance = size < 1e-6 ? 1e-6 : 1e-9;  // post's own rounding
      for (size_t j = 0; j < expected.u.size(); ++j) {
        EXPECT_NEAR(m.principal_u[j], expected.u[j], tolerance);
        EXPECT_NEAR(m.principal_v[j], expected.v[j], tolerance);
      }
      for (const PrincipalShare* share :
           {&m.quantities.principal_share.q01, &m.quantities.principal_share.q10, &m.quantities.principal_share.q50}) {
        EXPECT_EQ(share->u.value, m.principal_u[static_cast<size_t>(share->k - 1)]);
        EXPECT_EQ(share->v.value, m.principal_v[static_cast<size_t>(share->k - 1)]);
        EXPECT_NEAR(share->uv.value, expected.uv[static_cast<size_t>(share->k - 1)], tolerance);
      }
      EXPECT_EQ(m.quantities.principal_share.q10.k, 3);
      EXPECT_EQ(m.quantities.principal_share.q01.k, 1);
    }
  }
}

// Base's directions turned into a permuted order: what is planted on the first ones is found on them alone.
TEST(PrincipalShare, FindsWhatIsPlanted) {
  const Matrix u = orthonormal(40, 30, 1), v = orthonormal(30, 30, 2);
  const std::vector<double> sigma = linear_spectrum(30, 3, 0.3);
  const Matrix base = compose(u, sigma, v);
  std::vector<double> planted(30);
  planted[1] = 0.1;
  planted[2] = -0.1;  // orthogonal to base but for the part that c takes
  const Matrix post = combined(1, base, 1, compose(u, planted, v));
  const PairMeasure m = compare(base, post);
  EXPECT_GT(m.quantities.principal_share.q10.u.value, 0.999);
  EXPECT_GT(m.quantities.principal_share.q10.uv.value, 0.999);
  EXPECT_GT(m.quantities.principal_share.q10.uv.z(), 100);
  EXPECT_LT(m.quantities.principal_share.q01.u.value, 1e-3);
}

// Few random directions lie on the base's by chance as much as many do, but in a matrix now more and now less.
TEST(PrincipalShare, OfFewRandomDirectionsVariesMore) {
  const Matrix base = gaussian(48, 40, 1);
  for (const int64_t rank : {1, 3, 40}) {
    Moments u, v, uv;
    for (uint64_t draw = 0; draw < 200; ++draw) {
      const Matrix change = times(gaussian(48, rank, 1000 + 2 * draw), gaussian(rank, 40, 1001 + 2 * draw));
      const PairMeasure m = compare(base, combined(1, base, 0.01, change), {});
      const PrincipalShare& share = m.quantities.principal_share.q10;
      u.add(share.u.z());
      v.add(share.v.z());
      uv.add(share.uv.z());
    }
    for (const Moments* z : {&u, &v, &uv}) {
      EXPECT_NEAR(z->mean(), 0, 0.25) << rank;  // 0.07 is the deviation; fitting c takes a little
      EXPECT_NEAR(z->deviation(), 1, 0.25) << rank;
    }
  }
}

TEST(Quantities, OfUndefinedThingsAreUndefined) {
  const Matrix base = base_of(48, 30);
  const PairMeasure same = compare(base, combined(0.5, base, 0, base));
  EXPECT_TRUE(same.principal_u.empty());
  EXPECT_TRUE(std::isnan(same.quantities.principal_share.q10.u.value));
  EXPECT_NEAR(same.quantities.subspace_overlap.q10.u.value, 1, 1e-12);
  EXPECT_LT(same.quantities.subspace_overlap.q50.angle_max_v, 1e-6);
  EXPECT_NEAR(same.quantities.spectrum.nss, 0.5, 1e-12);
  EXPECT_NEAR(same.quantities.spectrum.nss_c.value, 0, 1e-12);
  const Matrix zero = Matrix::zeros(48, 30);
  for (const PairMeasure& m : {compare(zero, base), compare(base, zero), compare(zero, zero)}) {
    EXPECT_EQ(m.quantities.intruders.of, 0);
    EXPECT_TRUE(std::isnan(m.quantities.subspace_overlap.q10.u.value));
  }
}

TEST(SubspaceOverlap, IsThatOfTheSubspaces) {
  // A turn by a known angle in the plane of u_3 and u_4, the widest gap being behind the third direction.
  std::vector<double> sigma = linear_spectrum(30, 3, 2);
  for (size_t j = 3; j < 30; ++j) sigma[j] -= 1;
  const Matrix u = orthonormal(40, 30, 1), v = orthonormal(30, 30, 2);
  Matrix turned = Matrix::copy_of(u, Space::Host);
  constexpr double kAngle = 0.3;
  for (int64_t i = 0; i < 40; ++i) {
    turned(i, 2) = std::cos(kAngle) * u(i, 2) + std::sin(kAngle) * u(i, 3);
    turned(i, 3) = std::cos(kAngle) * u(i, 3) - std::sin(kAngle) * u(i, 2);
  }
  const PairMeasure m = compare(compose(u, sigma, v), compose(turned, sigma, v));
  const SubspaceOverlap& overlap = m.quantities.subspace_overlap.q10;
  EXPECT_EQ(overlap.k, 3);
  EXPECT_NEAR(overlap.u.value, (2 + std::cos(kAngle) * std::cos(kAngle)) / 3, 1e-9);
  EXPECT_NEAR(overlap.angle_max_u, kAngle, 1e-6);
  EXPECT_NEAR(overlap.v.value, 1, 1e-9);
}

TEST(Intruders, AreCountedAndClustersAreNone) {
  const Matrix u = orthonormal(64, 40, 1), v = orthonormal(40, 40, 2);
  const std::vector<double> sigma = linear_spectrum(40, 3, 1);
  const Matrix base = compose(u, sigma, v);
  Matrix a = gaussian(64, 1, 5), b = gaussian(40, 1, 6);
  const double size = 6 / (frobenius(a) * frobenius(b));
  const Matrix post = combined(1, base, size, times(a, transposed(b)));
  const PairMeasure m = compare(base, post);
  EXPECT_EQ(m.quantities.intruders.of, 10);
  EXPECT_EQ(m.quantities.intruders.u, 1);
  EXPECT_EQ(m.quantities.intruders.v, 1);
  EXPECT_GE(m.quantities.intruders.u_null, 0);
  // Equal singular values: any rotation among them is the same matrix.
  std::vector<double> equal(40, 1);
  for (size_t j = 0; j < 20; ++j) equal[j] = 2;
  const PairMeasure turned = compare(compose(u, equal, v), noisy(compose(u, equal, v), 1, 1e-6, 3));
  EXPECT_EQ(turned.quantities.intruders.u, 0);
  EXPECT_EQ(turned.quantities.intruders.v, 0);
}

// WeightWatcher 0.7.5.5's WWFit on the same numbers.
TEST(HeavyTail, IsWeightWatchers) {
  const auto spectrum = [](int64_t n, const std::function<double(double)>& value) {
    std::vector<double> sigma;
    for (int64_t j = 0; j < n; ++j) sigma.push_back(value(static_cast<double>(j)));
    std::sort(sigma.rbegin(), sigma.rend());
    return sigma;
  };
  const HeavyTail geometric = heavy_tail(spectrum(64, [](double j) { return 3 * std::exp(-j / 17); }));
  EXPECT_NEAR(geometric.alpha, 1.2698412698412698, 1e-12);
  EXPECT_NEAR(geometric.distance, 0.15887583965665186, 1e-12);
  EXPECT_NEAR(geometric.lambda_min, 0.005436933192034517, 1e-14);
  const HeavyTail heavy = heavy_tail(
      spectrum(200, [](double j) { return 5 / std::pow(1 + j, 0.4) + 0.001 * std::fmod(j * 0.6180339887498949, 1); }));
  EXPECT_NEAR(heavy.alpha, 2.2761069708400665, 1e-11);
  EXPECT_NEAR(heavy.distance, 0.007076338209808908, 1e-11);
  EXPECT_EQ(heavy.count, 200);
  const HeavyTail part = heavy_tail(spectrum(40, [](double j) { return 2 - 0.04 * j; }));
  EXPECT_NEAR(part.alpha, 3.445922793887837, 1e-12);
  EXPECT_NEAR(part.lambda_min, 1.8495999999999997, 1e-12);
  EXPECT_EQ(part.count, 17);
  EXPECT_TRUE(std::isnan(heavy_tail(linear_spectrum(9, 2, 1)).alpha));
  EXPECT_TRUE(std::isnan(heavy_tail(std::vector<double>(50, 1.0)).alpha));
}

TEST(EffectiveRank, IsThatOfEqualValues) {
  EXPECT_NEAR(effective_rank({2, 2, 2, 2, 0, 0}), 4, 1e-12);
  EXPECT_NEAR(effective_rank({1, 0}), 1, 1e-12);
  EXPECT_TRUE(std::isnan(effective_rank({0, 0})));
}

TEST(NoiseSpectrum, IsThatOfGaussianMatrices) {
  // The bidiagonal matrix has the law of a dense one: means of σ_1, σ_n and Σσ² over draws of each.
  constexpr int kDraws = 200;
  Moments first[2], last[2], energy;
  for (uint64_t i = 0; i < kDraws; ++i) {
    const std::vector<double> drawn = gaussian_singular_values(40, 24, i);
    const auto dense = reference_svd<long double>(gaussian(40, 24, 1000 + i));
    first[0].add(drawn.front());
    first[1].add(static_cast<double>(dense.sigma.front()));
    last[0].add(drawn.back());
    last[1].add(static_cast<double>(dense.sigma.back()));
    energy.add(std::inner_product(drawn.begin(), drawn.end(), drawn.begin(), 0.0));
  }
  const auto near = [](const Moments(&m)[2]) {
    const double sd = std::hypot(m[0].sample_deviation(), m[1].sample_deviation()) / std::sqrt(kDraws);
    return std::abs(m[0].mean() - m[1].mean()) < 3.5 * sd;
  };
  EXPECT_TRUE(near(first));
  EXPECT_TRUE(near(last));
  EXPECT_NEAR(energy.mean(), 40 * 24, 3.5 * std::sqrt(2 * 40 * 24.0 / kDraws));
}

TEST(NoiseSpectrum, MedianIsMarchenkoPasturs) {
  EXPECT_NEAR(marchenko_pastur_median(1), 0.6528, 1e-3);  // Gavish & Donoho 2014: 4/√3 and 2.858 of the median
  EXPECT_NEAR(4 / std::sqrt(3.0) / std::sqrt(marchenko_pastur_median(1)), 2.858, 1e-3);
  EXPECT_NEAR(marchenko_pastur_median(1e-6), 1, 1e-2);
  const std::vector<double> sigma = gaussian_singular_values(1000, 500, 3);
  EXPECT_NEAR(sigma[250] * sigma[250] / 1000 / marchenko_pastur_median(0.5), 1, 0.01);
}

TEST(UpdateSpectrum, MeetsItsNullAndFindsALowRank) {
  PairOptions options;
  options.update_spectrum = true;
  for (const auto& [d_in, d_out] : kShapes) {
    const Matrix base = base_of(d_in, d_out);
    const PairMeasure noise = compare(base, noisy(base, 1, 1e-3, 9), options);
    ASSERT_TRUE(noise.quantities.update_spectrum);
    const UpdateSpectrum& q = *noise.quantities.update_spectrum;
    for (const Against* figure : {&q.erank, &q.rank_90, &q.rank_99, &q.top1, &q.top16})
      EXPECT_LT(std::abs(figure->z()), 4) << figure->value << " against " << figure->null;
    EXPECT_LE(q.spikes.value, 1);
    const Matrix low = times(gaussian(d_in, 4, 1), gaussian(4, d_out, 2));
    const Matrix post = combined(1, noisy(base, 1, 1e-4, 9), 0.01 * frobenius(base) / frobenius(low), low);
    const UpdateSpectrum found = *compare(base, post, options).quantities.update_spectrum;
    EXPECT_EQ(found.spikes.value, 4);
    EXPECT_LE(found.rank_90.value, 4);
    EXPECT_LT(found.erank.z(), -10);
    EXPECT_GT(found.top16.value, 0.99);
  }
  // By the values themselves: E = diag(4, 2, 2, 1).
  const UpdateSpectrum q = update_spectrum({16, 4, 4, 1}, 4, 0);
  EXPECT_DOUBLE_EQ(q.top1.value, 16.0 / 25);
  EXPECT_EQ(q.rank_90.value, 3);
  EXPECT_EQ(q.rank_99.value, 4);
  EXPECT_NEAR(q.erank.value, std::exp(-(4 * std::log(4 / 9.0) + 4 * std::log(2 / 9.0) + std::log(1 / 9.0)) / 9), 1e-12);
  EXPECT_TRUE(std::isnan(update_spectrum({0, 0}, 4, 0).erank.value));
}

// The mean of 200 draws of noise lies where the null says, and they spread as it says. (Of 13 means one may well be
// beyond 2 of their deviations.)
class Sampling : public testing::TestWithParam<std::pair<int64_t, int64_t>> {};

TEST_P(Sampling, MeetsTheNulls) {
  const auto [d_in, d_out] = GetParam();
  const Matrix base = base_of(d_in, d_out);
  constexpr int kDraws = 200;
  std::map<std::string, Moments> figures;
  std::map<std::string, Against> nulls;
  const auto add = [&](const std::string& name, const Against& figure) {
    figures[name].add(figure.value);
    nulls[name] = figure;
  };
  for (int draw = 0; draw < kDraws; ++draw) {
    PairOptions options;
    options.null_draws = 0;
    const PairMeasure m = compare(base, noisy(base, 1.1, 1e-3, 100 + static_cast<uint64_t>(draw)), options);
    const Quantities& q = m.quantities;
    for (const auto& [name, share] :
         {std::pair("q01", &q.principal_share.q01), std::pair("q10", &q.principal_share.q10),
          std::pair("q50", &q.principal_share.q50)}) {
      add(std::string(name) + " u", share->u);
      add(std::string(name) + " v", share->v);
      add(std::string(name) + " uv", share->uv);
    }
    add("overlap u", q.subspace_overlap.q10.u);
    add("overlap v", q.subspace_overlap.q10.v);
    add("overlap half u", q.subspace_overlap.q50.u);
    add("nss_c", q.spectrum.nss_c);
  }
  int beyond = 0;
  for (const auto& [name, moments] : figures) {
    const Against& null = nulls[name];
    const double z = (moments.mean() - null.null) / (null.sd / std::sqrt(kDraws));
    beyond += std::abs(z) > 2 ? 1 : 0;
    EXPECT_LT(std::abs(z), 3.2) << name;
    EXPECT_NEAR(moments.sample_deviation() / null.sd, 1, 0.3) << name;
  }
  EXPECT_LE(beyond, 2);
}

// A steep tail is shifted by the second order, which the closed form has not.
TEST(SpectrumShift, IsSampledWhereTheTailIsSteep) {
  std::vector<double> sigma = linear_spectrum(64, 3, 1);
  for (size_t j = 59; j < 64; ++j) sigma[j] *= 1e-3;
  const Matrix base = with_spectrum(256, 64, sigma, 1);
  PairOptions options;
  options.null_draws = 20;
  const Against shift = compare(base, noisy(base, 1, 1e-3, 5), options).quantities.spectrum.nss_c;
  EXPECT_LT(std::abs(shift.z()), 4) << shift.value << " against " << shift.null << " +- " << shift.sd;
}

INSTANTIATE_TEST_SUITE_P(Quantities, Sampling, testing::ValuesIn(kShapes));

}  // namespace
}  // namespace gyro
