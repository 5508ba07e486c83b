#include "gyro/spectra/decomposition.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "gyro/spectra/reference_svd.h"
#include "gyro/spectra/test_util.h"

namespace gyro {
namespace {

constexpr double kUnitRoundoff = 0x1p-53;

enum class Kind { Graded, Clustered };

/// n values with σ_1 / σ_n = kappa: in equal ratios, or three clusters of equal values.
std::vector<double> spectrum(Kind kind, int64_t n, double kappa) {
  std::vector<double> sigma = geometric_spectrum(n, kappa);
  if (kind == Kind::Clustered) {
    for (int64_t j = 0; j < n; ++j)
      sigma[static_cast<size_t>(j)] = std::pow(kappa, -0.5 * static_cast<double>(3 * j / n));
  }
  return sigma;
}

struct Case {
  int64_t d_in, d_out;
  Kind kind;
  double kappa;
};

std::vector<Case> all_cases() {
  std::vector<Case> cases;
  for (const Kind kind : {Kind::Graded, Kind::Clustered}) {
    for (const double kappa : {1e0, 1e2, 1e4, 1e6, 1e8, 1e10, 1e12}) {
      for (const auto& [d_in, d_out] : {std::pair{24, 16}, {16, 24}, {16, 16}})
        cases.push_back({d_in, d_out, kind, kappa});
    }
  }
  cases.push_back({64, 48, Kind::Graded, 1e3});
  cases.push_back({1, 40, Kind::Graded, 1});
  return cases;
}

Matrix matrix_of(const Case& c) {
  return with_spectrum(c.d_in, c.d_out, spectrum(c.kind, std::min(c.d_in, c.d_out), c.kappa), 1);
}

Decomposition by_gram(const TallWeight& tall) {
  Matrix gram = Matrix::zeros(tall.n, tall.n);
  for_each_panel(tall, [&](const Panel& panel) { add_gram(panel, gram); });
  const double norm = linalg::norm(to_dense(tall));
  Decomposition d = decompose_gram(gram, tall.m, norm, norm * norm);
  if (d.resolved()) measure_long_side(tall, d);
  return d;
}

/// ‖P − P_ref‖_F for P = L Sᵀ, L given or A S Σ⁻¹.
double polar_distance(const TallWeight& tall, const Decomposition& d, const ReferenceSvd<Quad>& reference) {
  const Matrix a = to_dense(tall);
  Columns<Quad> exact = polar_factor(reference);
  if (tall.transposed) exact = wide_transpose(exact);
  Quad sum = 0;
  std::vector<std::vector<Quad>> rows(static_cast<size_t>(tall.m));  // L, row by row
  for (int64_t i = 0; i < tall.m; ++i) {
    for (int64_t l = 0; l < tall.n; ++l) {
      Quad entry = 0;
      if (d.method == Method::Svd) {
        entry = static_cast<Quad>(d.long_vectors(i, l));
      } else {
        for (int64_t j = 0; j < tall.n; ++j)
          entry += static_cast<Quad>(a(i, j)) * static_cast<Quad>(d.short_vectors(j, l));
        entry /= static_cast<Quad>(d.sigma[static_cast<size_t>(l)]);
      }
      rows[static_cast<size_t>(i)].push_back(entry);
    }
  }
  for (int64_t j = 0; j < tall.n; ++j) {
    for (int64_t i = 0; i < tall.m; ++i) {
      Quad entry = -exact[static_cast<size_t>(j)][static_cast<size_t>(i)];
      for (int64_t l = 0; l < tall.n; ++l) {
        entry += rows[static_cast<size_t>(i)][static_cast<size_t>(l)] * static_cast<Quad>(d.short_vectors(j, l));
      }
      sum += entry * entry;
    }
  }
  return static_cast<double>(wide_root(sum));
}

/// Every stated bound against the reference. The slack is one rounding of the value itself.
void check_bounds(const Decomposition& d, const TallWeight& tall, const ReferenceSvd<Quad>& reference) {
  for (int64_t j = 0; j < d.n; ++j) {
    const auto exact = static_cast<double>(reference.sigma[static_cast<size_t>(j)]);
    const double error = std::abs(d.sigma[static_cast<size_t>(j)] - exact);
    EXPECT_LE(error, (d.relative_error(j) + kUnitRoundoff) * exact) << "sigma " << j << " = " << exact;
  }
  if (std::isfinite(d.polar_error())) {
    EXPECT_LE(polar_distance(tall, d, reference), d.polar_error());
  }
}

TEST(ReferenceSvd, FindsAKnownSpectrum) {
  // Diagonal, permuted and signed: exact in any type.
  Matrix w = Matrix::zeros(5, 3);
  w(4, 0) = 2;
  w(0, 1) = -1e-12;
  w(2, 2) = 7;
  const ReferenceSvd<Quad> svd = reference_svd<Quad>(w);
  EXPECT_EQ(static_cast<double>(svd.sigma[0]), 7);
  EXPECT_EQ(static_cast<double>(svd.sigma[1]), 2);
  EXPECT_EQ(static_cast<double>(svd.sigma[2]), 1e-12);
}

// ‖W − U Σ Vᵀ‖_F ≤ 1e-30 ‖W‖_F and ‖UᵀU − I‖_F, ‖VᵀV − I‖_F ≤ 1e-30 (quad: u = 1e-34), whatever the condition; in long
// double (u = 5e-20, times n and some 20 sweeps) 5e-17. So σ_n of κ = 1e12 is known to 1e-18 of itself.
template <typename T>
void check_reference(const Matrix& w, double tolerance) {
  const ReferenceSvd<T> svd = reference_svd<T>(w);
  const size_t n = svd.sigma.size();
  EXPECT_LE(static_cast<double>(distance_from_identity(svd.u, svd.u, n, n)), tolerance);
  EXPECT_LE(static_cast<double>(distance_from_identity(svd.v, svd.v, n, n)), tolerance);
  T sum = 0;
  for (int64_t j = 0; j < w.cols(); ++j) {
    for (int64_t i = 0; i < w.rows(); ++i) {
      T entry = static_cast<T>(w(i, j));
      for (size_t l = 0; l < n; ++l) {
        entry -= svd.u[l][static_cast<size_t>(i)] * svd.sigma[l] * svd.v[l][static_cast<size_t>(j)];
      }
      sum += entry * entry;
    }
  }
  EXPECT_LE(static_cast<double>(wide_root(sum)), tolerance * frobenius(w));
  for (size_t l = 1; l < n; ++l) EXPECT_GE(svd.sigma[l - 1], svd.sigma[l]);
}

TEST(ReferenceSvd, ResidualAndOrthogonality) {
  for (const Case& c :
       {Case{24, 16, Kind::Graded, 1e12}, {16, 24, Kind::Clustered, 1e8}, {48, 48, Kind::Graded, 1e4}}) {
    check_reference<Quad>(matrix_of(c), 1e-30);
    check_reference<long double>(matrix_of(c), 5e-17);
  }
}

TEST(DecomposeGram, BoundsHold) {
  int resolved = 0;
  for (const Case& c : all_cases()) {
    SCOPED_TRACE(fmt::format("{} x {}, kind {}, kappa {:g}", c.d_in, c.d_out, static_cast<int>(c.kind), c.kappa));
    const Matrix w = matrix_of(c);
    const Weight weight = weight_of(w);
    const TallWeight tall = as_tall(weight);
    const Decomposition d = by_gram(tall);
    const ReferenceSvd<Quad> reference = reference_svd<Quad>(w);
    EXPECT_EQ(d.method, Method::Gram);
    for (int64_t j = 0; j < d.n; ++j) {  // 'bound on |δ(σ²)|', also where σ_n is lost
      const Quad exact = reference.sigma[static_cast<size_t>(j)], found = d.sigma[static_cast<size_t>(j)];
      EXPECT_LE(std::abs(static_cast<double>(found * found - exact * exact)), d.eta) << "sigma " << j;
    }
    if (!d.resolved()) continue;
    ++resolved;
    check_bounds(d, tall, reference);
  }
  // κ² u ≪ 1 up to 1e6: three shapes, two kinds, four κ, and the two larger cases.
  EXPECT_GE(resolved, 26);
}

TEST(DecomposeGram, BoundsAreNotIdle) {
  const Matrix w = matrix_of({24, 16, Kind::Graded, 1e2});
  const Weight weight = weight_of(w);
  const Decomposition d = by_gram(as_tall(weight));
  // σ_1 to a few n u, σ_n to a few n u κ².
  EXPECT_LE(d.relative_error(0), 1e-13);
  EXPECT_LE(d.relative_error(15), 1e-10);
  EXPECT_LE(d.polar_error(), 1e-10);
}

TEST(DecomposeGram, DoesNotClaimToResolveWhatItCannot) {
  for (const double kappa : {1e9, 1e10, 1e12}) {
    const Matrix w = matrix_of({24, 16, Kind::Graded, kappa});
    const Weight weight = weight_of(w);
    EXPECT_FALSE(by_gram(as_tall(weight)).resolved()) << kappa;
  }
}

TEST(DecomposeDirect, BoundsHold) {
  for (const Case& c : all_cases()) {
    SCOPED_TRACE(fmt::format("{} x {}, kind {}, kappa {:g}", c.d_in, c.d_out, static_cast<int>(c.kind), c.kappa));
    const Matrix w = matrix_of(c);
    const Weight weight = weight_of(w);
    const TallWeight tall = as_tall(weight);
    const Decomposition d = decompose_direct(tall);
    EXPECT_EQ(d.method, Method::Svd);
    EXPECT_EQ(d.rank(), d.n);
    check_bounds(d, tall, reference_svd<Quad>(w));
    // Backward stable: the absolute error bound is p(m, n) u σ_1, not worse.
    EXPECT_LE(d.residual, 100 * static_cast<double>(d.n) * kUnitRoundoff * d.sigma[0]);
    EXPECT_LE(d.orthogonality, 100 * static_cast<double>(d.n) * kUnitRoundoff);
  }
}

TEST(Decompositions, AgreeOnSigns) {
  for (const auto& [d_in, d_out] : {std::pair{24, 16}, {16, 24}, {16, 16}}) {
    const Matrix w = matrix_of({d_in, d_out, Kind::Graded, 1e2});
    const Weight weight = weight_of(w);
    const Decomposition gram = by_gram(as_tall(weight)), direct = decompose_direct(as_tall(weight));
    for (int64_t j = 0; j < gram.n; ++j) {
      double top = 0;
      for (int64_t i = 0; i < gram.n; ++i) {
        if (std::abs(gram.short_vectors(i, j)) > std::abs(top)) top = gram.short_vectors(i, j);
        // Vectors agree to (n u κ²)/(relative gap 1/3) of the Gram path; opposite signs would differ by their size.
        EXPECT_NEAR(gram.short_vectors(i, j), direct.short_vectors(i, j), 1e-9);
      }
      EXPECT_GT(top, 0);
    }
  }
}

TEST(Decomposition, RankOfDeficientMatrices) {
  std::vector<double> sigma = linear_spectrum(16, 2, 1);
  for (size_t j = 10; j < 16; ++j) sigma[j] = 0;
  for (const auto& [d_in, d_out] : {std::pair{24, 16}, {16, 24}, {16, 16}}) {
    const Matrix w = with_spectrum(d_in, d_out, sigma, 2);
    const Weight weight = weight_of(w);
    const Decomposition d = decompose_direct(as_tall(weight));
    EXPECT_EQ(d.rank(), 10);
    EXPECT_TRUE(std::isinf(d.polar_error()));
    EXPECT_FALSE(by_gram(as_tall(weight)).resolved());
    const ReferenceSvd<Quad> reference = reference_svd<Quad>(w);
    for (int64_t j = 0; j < 16; ++j) {
      const auto exact = static_cast<double>(reference.sigma[static_cast<size_t>(j)]);
      EXPECT_LE(std::abs(d.sigma[static_cast<size_t>(j)] - exact), d.residual + d.orthogonality * exact) << j;
    }
  }
}

TEST(Decomposition, OfZero) {
  const Matrix w = Matrix::zeros(4, 3);
  const Weight weight = weight_of(w);
  const Decomposition gram = by_gram(as_tall(weight)), direct = decompose_direct(as_tall(weight));
  EXPECT_FALSE(gram.resolved());
  for (const Decomposition* d : {&gram, &direct}) {
    EXPECT_EQ(d->rank(), 0);
    EXPECT_TRUE(std::isinf(d->relative_error(0)));
    EXPECT_TRUE(std::isinf(d->polar_error()));
  }
}

TEST(Probes, BoundANorm) {
  // The estimate's square is kProbeFactor² χ²-like around ‖R‖²: above ‖R‖ by the stated 1e-7, and never above 3 x
  // kProbeFactor of it (χ²_16 > 9·16 has probability below 1e-20).
  for (uint64_t seed = 0; seed < 50; ++seed) {
    const Matrix r = gaussian(20, 30, seed);
    const double bound = probed_norm(times(r, probe_columns(30)));
    EXPECT_GE(bound, frobenius(r));
    EXPECT_LE(bound, 3 * kProbeFactor * frobenius(r));
  }
  Matrix rank_one = times(gaussian(20, 1, 3), gaussian(1, 30, 4));
  EXPECT_GE(probed_norm(times(rank_one, probe_columns(30))), frobenius(rank_one));
}

TEST(Probes, OrthogonalityIsBounded) {
  Matrix q = orthonormal(40, 20, 5);
  EXPECT_LE(orthogonality_of(q), 1e-13);
  for (int64_t i = 0; i < 40; ++i) q(i, 7) *= 1 + 1e-6;  // ‖QᵀQ − I‖_F = 2e-6
  EXPECT_GE(orthogonality_of(q), 2e-6);
  EXPECT_LE(orthogonality_of(q), 2e-6 * 3 * kProbeFactor);
}

}  // namespace
}  // namespace gyro
