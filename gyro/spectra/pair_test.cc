#include "gyro/spectra/pair.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "gyro/spectra/reference_svd.h"
#include "gyro/spectra/test_util.h"

namespace gyro {
namespace {

using Wide = long double;

struct Shape {
  int64_t d_in, d_out;
};
constexpr Shape kShapes[] = {{40, 24}, {24, 40}, {28, 28}};

/// A base of well-separated singular values 2 ... 0.5: everything printed is then good to about 1e-13.
Matrix base_matrix(Shape s) {
  return with_spectrum(s.d_in, s.d_out, linear_spectrum(std::min(s.d_in, s.d_out), 2, 0.5), 1);
}

Matrix noisy(const Matrix& base, double c, double relative, uint64_t seed) {
  const Matrix g = gaussian(base.rows(), base.cols(), seed);
  return combined(c, base, relative * frobenius(base) / frobenius(g), g);
}

TEST(Compare, IsWhatTheDefinitionsGive) {
  for (const Shape s : kShapes) {
    const Matrix base = base_matrix(s), post = noisy(base, 0.95, 0.1, 2);
    const PairMeasure m = compare(base, post);
    const ReferencePair exact = reference_pair<Wide>(base, post);
    EXPECT_NEAR(m.alpha_mean, exact.alpha_mean, 1e-12);
    EXPECT_NEAR(m.alpha_std, exact.alpha_std, 1e-12);
    EXPECT_NEAR(m.nf, exact.nf, 1e-12);
    EXPECT_NEAR(m.nf_robust, exact.nf_robust, 1e-12);
    EXPECT_EQ(m.n, std::min(s.d_in, s.d_out));
    EXPECT_EQ(m.k, m.n * 9 / 10);
    EXPECT_EQ(m.rank, m.n);
    EXPECT_TRUE(m.flags.empty());
    EXPECT_NEAR(m.nf_chance, std::sqrt(1.0 / static_cast<double>(s.d_in) + 1.0 / static_cast<double>(s.d_out)), 1e-15);
  }
}

// I_orth itself, entry by entry from the vectors: the definition of eq. 7, not its polar form.
TEST(Compare, NfIsTheNormOfIOrth) {
  for (const Shape s : kShapes) {
    const Matrix base = base_matrix(s), post = noisy(base, 1, 0.2, 3);
    const ReferenceSvd<Wide> b = reference_svd<Wide>(base), p = reference_svd<Wide>(post);
    const size_t n = b.sigma.size(), k = n * 9 / 10;
    Wide all = 0, leading = 0, inner = 0;
    for (size_t i = 0; i < n; ++i) {
      for (size_t j = 0; j < n; ++j) {
        Wide entry = 0;
        for (size_t l = 0; l < n; ++l) entry += wide_dot(b.u[l], p.u[i]) * wide_dot(b.v[l], p.v[j]);
        if (i == j) inner += entry;
        entry -= i == j ? 1 : 0;
        all += entry * entry;
        if (i < k && j < k) leading += entry * entry;
      }
    }
    const PairMeasure m = compare(base, post);
    EXPECT_NEAR(m.nf, static_cast<double>(std::sqrt(all)) / static_cast<double>(n), 1e-12);
    EXPECT_NEAR(m.nf_robust, static_cast<double>(std::sqrt(leading)) / static_cast<double>(k), 1e-12);
    EXPECT_NEAR(m.polar_inner, static_cast<double>(inner) / static_cast<double>(n), 1e-12);
  }
}

TEST(Compare, SimpleQuantities) {
  for (const Shape s : kShapes) {
    const Matrix base = base_matrix(s), post = noisy(base, 0.9, 0.15, 4);
    Wide bb = 0, bp = 0, pp = 0, dd = 0;
    for (int64_t i = 0; i < s.d_in * s.d_out; ++i) {
      const Wide b = base.data()[i], p = post.data()[i];
      bb += b * b;
      bp += b * p;
      pp += p * p;
      dd += (p - b) * (p - b);
    }
    const PairMeasure m = compare(base, post);
    EXPECT_NEAR(m.scale, static_cast<double>(bp / bb), 1e-14);
    EXPECT_NEAR(m.cosine, static_cast<double>(bp / std::sqrt(bb * pp)), 1e-14);
    EXPECT_NEAR(m.relative_change, static_cast<double>(std::sqrt(dd / bb)), 1e-14);
    EXPECT_NEAR(m.energy.total, static_cast<double>(pp - bp * bp / bb), 1e-12);
    const ReferenceSvd<Wide> change = reference_svd<Wide>(combined(1, post, -m.scale, base));
    // ‖E‖₂² by Lanczos to 1e-8.
    EXPECT_NEAR(m.stable_rank, m.energy.total / std::pow(static_cast<double>(change.sigma[0]), 2),
                2e-8 * m.stable_rank);
    EXPECT_NEAR(m.scale_sd, std::sqrt(m.energy.total / static_cast<double>(bb) / static_cast<double>(s.d_in * s.d_out)),
                1e-13);
    Wide second = 0, fourth = 0;
    const ReferenceSvd<Wide> b = reference_svd<Wide>(base);
    for (int64_t j = 0; j < m.k; ++j) {
      const Wide sigma = b.sigma[static_cast<size_t>(j)];
      second += 1 / (sigma * sigma);
      fourth += 1 / (sigma * sigma * sigma * sigma);
    }
    EXPECT_NEAR(m.k_eff, static_cast<double>(second * second / fourth), 1e-9 * m.k_eff);
    const ReferenceSvd<Wide> p = reference_svd<Wide>(post);
    for (size_t j = 0; j < p.sigma.size(); ++j) EXPECT_NEAR(m.sigma[j], static_cast<double>(p.sigma[j]), 1e-12);
  }
}

// The departure of Q_i from orthogonality, ‖QᵀQ − I‖_F/√n: rounding on the short side, real on the long one.
TEST(Compare, OrthogonalityOfBothSides) {
  for (const Shape s : kShapes) {
    const Matrix base = base_matrix(s), post = noisy(base, 1, 0.2, 5);
    const ReferenceSvd<Wide> b = reference_svd<Wide>(base), p = reference_svd<Wide>(post);
    const auto departure = [&](const Columns<Wide>& x, const Columns<Wide>& y) {
      Columns<Wide> q;
      for (const auto& column : y) {
        q.emplace_back();
        for (const auto& row : x) q.back().push_back(wide_dot(row, column));
      }
      return static_cast<double>(distance_from_identity(q, q, q.size(), q.size())) /
             std::sqrt(static_cast<double>(q.size()));
    };
    const PairMeasure m = compare(base, post);
    EXPECT_NEAR(m.q1_orthogonality, departure(b.u, p.u), 1e-12);
    EXPECT_NEAR(m.q2_orthogonality, departure(b.v, p.v), 1e-12);
    EXPECT_EQ(m.q1_orthogonality > 1e-3, s.d_in > s.d_out);
    EXPECT_EQ(m.q2_orthogonality > 1e-3, s.d_out > s.d_in);
  }
}

TEST(Compare, TurnsAreOneMinusTheSquaredOverlap) {
  for (const Shape s : kShapes) {
    const Matrix base = base_matrix(s), post = noisy(base, 1, 0.02, 6);
    const ReferenceSvd<Wide> b = reference_svd<Wide>(base), p = reference_svd<Wide>(post);
    const PairMeasure m = compare(base, post);
    ASSERT_EQ(m.turn_u.size(), b.sigma.size());
    ASSERT_EQ(m.turn_v.size(), b.sigma.size());
    for (size_t j = 0; j < b.sigma.size(); ++j) {
      const Wide u = wide_dot(b.u[j], p.u[j]), v = wide_dot(b.v[j], p.v[j]);
      // Vectors are good to about n u κ over the relative gap, here 1/20.
      EXPECT_NEAR(m.turn_u[j], static_cast<double>(1 - u * u), 1e-10);
      EXPECT_NEAR(m.turn_v[j], static_cast<double>(1 - v * v), 1e-10);
    }
  }
}

/// D, S and A of X = U_bᵀ E V_b, and ‖E‖², from wide vectors.
EnergyBudget reference_energy(const Matrix& base, const Matrix& post, double c) {
  const ReferenceSvd<Wide> b = reference_svd<Wide>(base);
  const Columns<Wide> pb = wide_columns<Wide>(post, false), bb = wide_columns<Wide>(base, false);
  const size_t n = b.sigma.size();
  Columns<Wide> e = pb;
  Wide total = 0;
  for (size_t j = 0; j < e.size(); ++j) {
    for (size_t i = 0; i < e[j].size(); ++i) {
      e[j][i] -= static_cast<Wide>(c) * bb[j][i];
      total += e[j][i] * e[j][i];
    }
  }
  Columns<Wide> x(n, std::vector<Wide>(n, 0));  // x[j][i] = u_i · E v_j
  for (size_t j = 0; j < n; ++j) {
    std::vector<Wide> image(b.u[0].size(), 0);
    for (size_t l = 0; l < e.size(); ++l) {
      for (size_t i = 0; i < image.size(); ++i) image[i] += e[l][i] * b.v[j][l];
    }
    for (size_t i = 0; i < n; ++i) x[j][i] = wide_dot(b.u[i], image);
  }
  Wide scaling = 0, co = 0, counter = 0;
  for (size_t j = 0; j < n; ++j) {
    scaling += x[j][j] * x[j][j];
    for (size_t i = 0; i < n; ++i) {
      if (i == j) continue;
      const Wide s = (x[j][i] + x[i][j]) / 2, a = (x[j][i] - x[i][j]) / 2;
      co += s * s;
      counter += a * a;
    }
  }
  return {static_cast<double>(total), static_cast<double>(scaling), static_cast<double>(co),
          static_cast<double>(counter)};
}

TEST(Energy, IsThatOfExplicitCoordinates) {
  for (const Shape s : kShapes) {
    for (const double relative : {1e-1, 1e-4}) {
      const Matrix base = base_matrix(s), post = noisy(base, 0.97, relative, 7);
      const PairMeasure m = compare(base, post);
      const EnergyBudget exact = reference_energy(base, post, m.scale);
      const double tolerance = 1e-10 * exact.total;
      EXPECT_NEAR(m.energy.total, exact.total, tolerance);
      EXPECT_NEAR(m.energy.scaling, exact.scaling, tolerance);
      EXPECT_NEAR(m.energy.co_rotation, exact.co_rotation, tolerance);
      EXPECT_NEAR(m.energy.counter_rotation, exact.counter_rotation, tolerance);
      const double sum = m.energy.scaling + m.energy.co_rotation + m.energy.counter_rotation + m.energy.leakage();
      EXPECT_NEAR(sum, m.energy.total, tolerance);
      // Square matrices leave nothing outside of base's span: 1 − 1 to 1e-10.
      if (s.d_in == s.d_out) {
        EXPECT_LE(m.energy.leakage(), tolerance);
      }
    }
  }
}

// Chance: counter/co has mean 1 (to order 1/n²) and the stated deviation; shares are those of design §1.1.
TEST(Energy, OfRandomChanges) {
  for (const Shape s : kShapes) {
    const Matrix base = base_matrix(s);
    const double m = static_cast<double>(s.d_in * s.d_out), n = static_cast<double>(std::min(s.d_in, s.d_out));
    constexpr int kDraws = 25;
    double ratio = 0, scaling = 0, co = 0;
    BaseMatrix matrix(weight_of(base));
    for (uint64_t seed = 0; seed < kDraws; ++seed) {
      const Matrix post = noisy(base, 1, 0.05, 100 + seed);
      const PairMeasure measure = matrix.compare(weight_of(post), {.null_draws = 0});
      const double one = measure.energy.counter_rotation / measure.energy.co_rotation;
      EXPECT_LT(std::abs(one - 1), 4 * counter_over_co_sd(measure.n)) << "seed " << seed;
      ratio += one / kDraws;
      scaling += measure.energy.scaling / measure.energy.total / kDraws;
      co += measure.energy.co_rotation / measure.energy.total / kDraws;
    }
    // Means of 25 draws: standard error sd/5, and 4 of them; E(χ²_N/χ²_N) = N/(N − 2) adds 2/N, N = n(n − 1)/2.
    EXPECT_NEAR(ratio, 1 + 4 / (n * (n - 1)), 4 * counter_over_co_sd(static_cast<int64_t>(n)) / 5);
    // A χ²_N share of a fixed total: relative deviation below √(2/N).
    EXPECT_NEAR(scaling, (n - 1) / (m - 1), 4 * std::sqrt(2 / (n - 1)) / 5 * (n - 1) / (m - 1));
    EXPECT_NEAR(co, n * (n - 1) / 2 / (m - 1), 4 * std::sqrt(4 / (n * (n - 1))) / 5 * n * (n - 1) / 2 / (m - 1));
  }
}

struct Turned {
  Matrix base, together, against;
};

/// W_b = U Σ Vᵀ; both sides turned by the same Q, and by Q and its inverse.
Turned turned(Shape s, double angle) {
  const int64_t n = std::min(s.d_in, s.d_out);
  const std::vector<double> sigma = linear_spectrum(n, 2, 0.5);
  const Matrix u = orthonormal(s.d_in, n, 8), v = orthonormal(s.d_out, n, 9), q = small_rotation(n, angle, 10);
  return {compose(u, sigma, v), compose(times(u, q), sigma, times(v, q)),
          compose(times(u, q), sigma, times(v, transposed(q)))};
}

TEST(Energy, OfPlantedRotations) {
  for (const Shape s : kShapes) {
    const Turned t = turned(s, 0.05);
    // U_bᵀ W_p V_b = Q Σ Qᵀ is symmetric, so A vanishes to the rounding of forming W_p, (1e-15/0.05)² of ‖E‖².
    const PairMeasure together = compare(t.base, t.together);
    EXPECT_LE(together.energy.counter_rotation, 1e-24 * together.energy.total);
    EXPECT_GT(together.energy.co_rotation, 0.9 * together.energy.total);
    EXPECT_LE(together.nf, 1e-13);
    // Σ turned by Q on both ends the other way is antisymmetric to first order in the angle.
    const PairMeasure against = compare(t.base, t.against);
    EXPECT_GT(against.energy.counter_rotation, 50 * against.energy.co_rotation);
    EXPECT_GT(against.nf, 0.01);
    // With noise of the same size on top it still shows: 1/3 to 2/3 of the off-diagonal energy is co-rotation.
    const PairMeasure mixed = compare(t.base, noisy(t.together, 1, together.relative_change, 11));
    const double ratio = mixed.energy.counter_rotation / mixed.energy.co_rotation;
    EXPECT_LT(ratio - 1, -4 * counter_over_co_sd(mixed.n));
  }
}

TEST(ScaledCopies, HaveAlphaCAndNoNf) {
  for (const Shape s : kShapes) {
    const Matrix base = base_matrix(s);
    for (const double c : {0.25, 0.5, 1.0, 2.0, 0.9, 1.37, -1.0}) {
      const Matrix post = combined(c, base, 0, base);
      const PairMeasure m = compare(base, post);
      const bool power_of_two = std::exp2(std::round(std::log2(std::abs(c)))) == std::abs(c);
      // An exact copy has the singular values scaled exactly and computed alike; others to the Gram path's n u κ².
      EXPECT_NEAR(m.alpha_mean, std::abs(c), power_of_two ? 2e-15 : 1e-13) << c;
      EXPECT_LE(m.alpha_std, power_of_two ? 2e-15 : 1e-13) << c;
      if (c > 0) {
        EXPECT_LE(m.nf, 1e-13) << c;
        EXPECT_LE(m.nf_robust, 1e-13) << c;
      } else {
        EXPECT_NEAR(m.nf, 2 / std::sqrt(static_cast<double>(m.n)), 1e-13);  // P_p = −P_b: ‖−2 I‖_F / n
      }
      EXPECT_NEAR(m.scale, c, 1e-14);  // sums of 960 terms
      EXPECT_NEAR(m.relative_change, std::abs(c - 1), 1e-15);
      EXPECT_TRUE(has_flag(m, "no_residual")) << c;
      EXPECT_EQ(m.energy.total, 0);
      EXPECT_EQ(m.method, Method::Gram) << c;
    }
  }
}

TEST(Invariance, ToMirroredAndPermutedAxes) {
  const Matrix base = base_matrix({40, 24}), post = noisy(base, 1, 0.1, 12);
  const PairMeasure plain = compare(base, post);
  // The same signs and the same permutation of the d_in axis on both models change no singular value, and singular
  // vectors only with the axis; every sign rule meets other entries.
  const auto moved = [](const Matrix& w) {
    Matrix out(w.rows(), w.cols());
    for (int64_t j = 0; j < w.cols(); ++j) {
      for (int64_t i = 0; i < w.rows(); ++i) {
        out((7 * i + 3) % w.rows(), j) = (i % 3 == 0 ? -1 : 1) * (j % 2 == 0 ? -1 : 1) * w(i, j);
      }
    }
    return out;
  };
  const PairMeasure other = compare(moved(base), moved(post));
  EXPECT_NEAR(other.alpha_mean, plain.alpha_mean, 1e-12);
  EXPECT_NEAR(other.nf, plain.nf, 1e-12);
  EXPECT_NEAR(other.nf_robust, plain.nf_robust, 1e-12);
  EXPECT_NEAR(other.energy.co_rotation, plain.energy.co_rotation, 1e-12);
  EXPECT_NEAR(other.energy.counter_rotation, plain.energy.counter_rotation, 1e-12);
}

// In a subspace of equal σ the vectors are arbitrary: U R and V R make the same matrix. NF must not see which are got.
TEST(Invariance, ToRotationsInsideADegenerateSubspace) {
  for (const Shape s : kShapes) {
    const int64_t n = std::min(s.d_in, s.d_out);
    std::vector<double> sigma = linear_spectrum(n, 2, 0.5);
    for (size_t j = 4; j < 10; ++j) sigma[j] = 1.5;
    const Matrix u = orthonormal(s.d_in, n, 13), v = orthonormal(s.d_out, n, 14);
    const Matrix base = compose(u, sigma, v);
    Matrix r = Matrix::zeros(n, n);
    const Matrix inner = orthonormal(6, 6, 15);
    for (int64_t j = 0; j < n; ++j) {
      for (int64_t i = 0; i < n; ++i) {
        const bool both = i >= 4 && i < 10 && j >= 4 && j < 10;
        r(i, j) = both ? inner(i - 4, j - 4) : i == j ? 1.0 : 0.0;
      }
    }
    const Matrix again = compose(times(u, r), sigma, times(v, r));  // the same matrix to rounding
    const PairMeasure same = compare(base, again);
    EXPECT_LE(same.nf, 1e-13);
    EXPECT_TRUE(has_flag(same, "degenerate_cluster"));
    const Matrix post = noisy(base, 1, 0.1, 16);
    const PairMeasure one = compare(base, post), two = compare(again, post);
    EXPECT_NEAR(one.nf, two.nf, 1e-12);
    EXPECT_NEAR(one.nf_robust, two.nf_robust, 1e-12);
    EXPECT_NEAR(one.nf, reference_pair<Wide>(base, post).nf, 1e-12);
  }
}

TEST(Compare, UnrelatedMatricesAreAtChance) {
  for (const Shape s : {Shape{96, 48}, {48, 96}, {64, 64}}) {
    const PairMeasure m = compare(gaussian(s.d_in, s.d_out, 17), gaussian(s.d_in, s.d_out, 18));
    // ‖Q_1 − Q_2‖² is a sum of 2n² nearly independent squares: its root spreads by 1/(2n) = 1 %; 4 of that.
    EXPECT_NEAR(m.nf / m.nf_chance, 1, 0.04);
    EXPECT_NEAR(m.nf_robust / m.nf_robust_chance, 1, 0.04);
    EXPECT_FALSE(m.null.nf_valid);
  }
}

TEST(Compare, UnchangedShareAndFlag) {
  const Matrix base = base_matrix({40, 24});
  Matrix post = base.clone();
  const PairMeasure same = compare(base, post);
  EXPECT_EQ(same.unchanged, 1);
  EXPECT_TRUE(has_flag(same, "unchanged"));
  EXPECT_EQ(same.relative_change, 0);
  EXPECT_EQ(same.cosine, 1);
  EXPECT_TRUE(std::isnan(same.stable_rank));
  EXPECT_LE(same.nf, 1e-14);
  EXPECT_EQ(same.alpha_mean, 1);
  EXPECT_FALSE(has_flag(same, "loose_bound"));
  for (int64_t i = 0; i < 96; ++i) post.data()[10 * i] *= 1 + 0x1p-52;
  const PairMeasure touched = compare(base, post);
  EXPECT_EQ(touched.unchanged, 0.9);  // 96 of 960
  EXPECT_FALSE(has_flag(touched, "unchanged"));
}

// √(Σ ulp²/12): a value in [2^e, 2^(e+1)) has the ulp 2^(e − mantissa bits).
TEST(Compare, RoundingNorm) {
  const std::vector<float> base = {1, 2, 3, -4, 5, 6}, post = {1.5f, 0, -3.25f, 4, 0.75f, -9};
  const std::vector<uint16_t> half = {0x3fc0, 0x0000, 0xc050, 0x4080, 0x3f40, 0xc110};  // post in BF16
  const double squares = 1 + 0 + 4 + 16 + 0.25 + 64;
  Weight b;
  b.dtype = DType::F32;
  b.data = std::as_bytes(std::span(base)).data();
  b.rows = 2;
  b.cols = 3;
  Weight p = b;
  p.data = std::as_bytes(std::span(post)).data();
  EXPECT_NEAR(BaseMatrix(b).compare(p, {}).rounding_norm, 0x1p-23 * std::sqrt(squares / 12), 1e-20);
  p.data = std::as_bytes(std::span(half)).data();
  p.dtype = DType::BF16;
  EXPECT_NEAR(BaseMatrix(b).compare(p, {}).rounding_norm, 0x1p-7 * std::sqrt(squares / 12), 1e-15);
}

TEST(Compare, ManyPanels) {
  // Rows of the long side are taken in panels of 512: two and a half of them.
  for (const Shape s : {Shape{1300, 6}, {6, 1300}}) {
    const Matrix base = gaussian(s.d_in, s.d_out, 19), post = noisy(base, 0.9, 0.1, 20);
    const PairMeasure m = compare(base, post);
    const ReferencePair exact = reference_pair<Wide>(base, post);
    EXPECT_NEAR(m.alpha_mean, exact.alpha_mean, 1e-12);
    EXPECT_NEAR(m.nf, exact.nf, 1e-12);
    EXPECT_NEAR(m.nf_robust, exact.nf_robust, 1e-12);
  }
}

}  // namespace
}  // namespace gyro
