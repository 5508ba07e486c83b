#include "gyro/spectra/rotation.h"

#include <gtest/gtest.h>

#include <cmath>

#include "gyro/spectra/test_util.h"

namespace gyro {
namespace {

/// Aᵀ⁻¹ by Gauss-Jordan with pivoting.
Matrix inverse_transpose(const Matrix& a) {
  const int64_t n = a.rows();
  Matrix work = transposed(a), inverse = Matrix::zeros(n, n);
  for (int64_t i = 0; i < n; ++i) inverse(i, i) = 1;
  for (int64_t c = 0; c < n; ++c) {
    int64_t pivot = c;
    for (int64_t i = c; i < n; ++i) {
      if (std::abs(work(i, c)) > std::abs(work(pivot, c))) pivot = i;
    }
    const double scale = 1 / work(pivot, c);
    for (int64_t j = 0; j < n; ++j) {
      for (Matrix* m : {&work, &inverse}) {
        std::swap((*m)(c, j), (*m)(pivot, j));
        (*m)(c, j) *= scale;
      }
    }
    for (int64_t i = 0; i < n; ++i) {
      const double factor = work(i, c);
      if (i == c || factor == 0) continue;
      for (int64_t j = 0; j < n; ++j) {
        work(i, j) -= factor * work(c, j);
        inverse(i, j) -= factor * inverse(c, j);
      }
    }
  }
  return inverse;
}

/// polar(M) of a square M by Newton's iteration X ← (γX + X⁻ᵀ/γ)/2 with Frobenius scaling.
Matrix newton_polar(const Matrix& m) {
  Matrix x = m.clone();
  for (int step = 0; step < 60; ++step) {
    const Matrix y = inverse_transpose(x);
    const double gamma = std::sqrt(frobenius(y) / frobenius(x));
    Matrix next = combined(gamma / 2, x, 1 / (2 * gamma), y);
    const double change = frobenius(combined(1, next, -1, x));
    x = std::move(next);
    if (change < 1e-14 * frobenius(x)) break;
  }
  return x;
}

TEST(NewtonPolar, FindsTheOrthogonalFactor) {
  const Matrix q = orthonormal(12, 12, 1);
  const Matrix h = compose(q, geometric_spectrum(12, 1e3), q);
  const Matrix rotation = orthonormal(12, 12, 2);
  EXPECT_LE(frobenius(combined(1, newton_polar(times(rotation, h)), -1, rotation)), 1e-11);
}

// By products where all singular values are near 1, else by an SVD. The bound is n u κ.
TEST(CommonRotation, IsThePolarFactorOfTheSum) {
  for (const double angle : {0.0, 0.1, 1.0, 10.0}) {
    for (const int64_t long_side : {30, 50}) {
      const Matrix q1 = times(transposed(orthonormal(long_side, 30, 1)),
                              times(orthonormal(long_side, 30, 1), small_rotation(30, 0.3, 2)));
      const Matrix q2 = times(q1, small_rotation(30, angle, 3));
      const PolarFactor common = common_rotation(q1, q2);
      EXPECT_TRUE(common.complete);
      EXPECT_LE(frobenius(combined(1, common.q, -1, newton_polar(combined(1, q1, 1, q2)))), 1e-10);
    }
  }
}

// A direction that the sides mirror: Q is what polar(Q_1 + (1 + ε)Q_2) goes to, to first order in ε.
TEST(CommonRotation, IsTheSecondsWhereTheyMirror) {
  const Matrix q1 = small_rotation(9, 0.3, 4), axis = orthonormal(9, 1, 5);
  const Matrix q2 = times(small_rotation(9, 0.2, 6), combined(1, q1, -2, times(axis, times(transposed(axis), q1))));
  const PolarFactor common = common_rotation(q1, q2);
  EXPECT_FALSE(common.complete);
  const double epsilon = 1e-7;
  EXPECT_LE(frobenius(combined(1, common.q, -1, newton_polar(combined(1, q1, 1 + epsilon, q2)))), 1e-5);
  EXPECT_LE(orthogonality_departure(common.q), 1e-7);
}

/// Corners against explicit matrices. F32 storage is exact to 6e-8 of values at most 1; the polar factor's columns are
/// promised to F32 accuracy, and Lanczos stops at a change of 1e-9.
void check_corner(const Matrix& q1, const Matrix& q2, int64_t size, double tolerance = 2e-7) {
  const RotationCorner corner = rotation_corner(q1, q2, size);
  const int64_t expected = std::min(size, q1.cols());
  ASSERT_EQ(corner.size, expected);
  const Matrix q = newton_polar(combined(1, q1, 1, q2));
  const Matrix i_orth = times(transposed(q1), q2), d1 = times(transposed(q), q1), d2 = times(transposed(q), q2);
  ASSERT_EQ(corner.delta_q2.size(), static_cast<size_t>(expected * expected));
  for (int64_t i = 0; i < expected; ++i) {
    for (int64_t j = 0; j < expected; ++j) {
      const auto at = static_cast<size_t>(i * expected + j);  // row-major
      EXPECT_NEAR(corner.sim_u[at], std::abs(q1(i, j)), 6e-8);
      EXPECT_NEAR(corner.sim_v[at], std::abs(q2(i, j)), 6e-8);
      EXPECT_NEAR(corner.sim_diff[at], std::abs(std::abs(q1(i, j)) - std::abs(q2(i, j))), 6e-8);
      EXPECT_NEAR(corner.i_orth[at], i_orth(i, j), 6e-8);
      EXPECT_NEAR(corner.delta_q1[at], d1(i, j), tolerance) << i << ", " << j;
      EXPECT_NEAR(corner.delta_q2[at], d2(i, j), tolerance) << i << ", " << j;
    }
  }
}

// Related: Q_1 ≈ Q_2, so Q_1 + Q_2 is nearly twice an orthogonal matrix and Lanczos ends after a few steps.
TEST(RotationCorner, OfRelatedModels) {
  for (const int64_t n : {8, 60}) {
    const Matrix q = orthonormal(n, n, 3);
    check_corner(times(q, small_rotation(n, 0.1, 4)), times(q, small_rotation(n, 0.2, 5)), 25);
    check_corner(q, q, 5);
  }
}

/// An orthogonal matrix far from the identity with determinant +1: QR of I + K, whose determinant is positive. (Two
/// matrices of unlike determinants have a singular sum.)
Matrix large_rotation(int64_t n, uint64_t seed) {
  return small_rotation(n, 10, seed);
}

// Unrelated: Q_1 + Q_2 has singular values down to about 1/n, and 40 Lanczos steps are not enough at n = 80: the
// eigenproblem gives the columns. Its small eigenvalues are those of a Gram matrix, relative error u n² at most here.
TEST(RotationCorner, OfUnrelatedModels) {
  for (const int64_t n : {8, 30, 80}) check_corner(large_rotation(n, 6), large_rotation(n, 7), 25);
}

// A long side's Q is a contraction, not orthogonal.
TEST(RotationCorner, OfALongSide) {
  const int64_t n = 50;
  const Matrix long_base = orthonormal(90, n, 8), long_post = orthonormal(90, n, 9);
  const Matrix contraction = times(transposed(long_base), long_post);
  check_corner(contraction, orthonormal(n, n, 10), 25);
  check_corner(orthonormal(n, n, 10), contraction, 25);
}

TEST(RotationCorner, OfSmallMatrices) {
  for (const int64_t n : {1, 2, 3, 4, 5}) {
    check_corner(large_rotation(n, 11), small_rotation(n, 0.3, 12), 25);
    check_corner(small_rotation(n, 0.1, 13), small_rotation(n, 0.3, 14), 2);
  }
}

// A dimension in which the sides turn the other way round: Q_1 + Q_2 vanishes there, and has no polar factor. What is
// printed must be finite, and right in the other dimensions.
TEST(RotationCorner, WhereTheSumVanishes) {
  Matrix q1 = Matrix::zeros(6, 6), q2 = Matrix::zeros(6, 6);
  for (int64_t i = 0; i < 6; ++i) q1(i, i) = q2(i, i) = 1;
  q2(2, 2) = -1;
  const RotationCorner corner = rotation_corner(q1, q2, 6);
  for (size_t i = 0; i < 6; ++i) {
    for (size_t j = 0; j < 6; ++j) {
      ASSERT_TRUE(std::isfinite(corner.delta_q1[i * 6 + j]));
      if (i != 2 && j != 2) {
        EXPECT_NEAR(corner.delta_q1[i * 6 + j], i == j ? 1 : 0, 1e-6);
      }
    }
  }
}

TEST(EnergyBudget, SplitsByDefinition) {
  for (const int64_t n : {1, 2, 31, 32, 33, 70}) {  // tiles are of 32
    const Matrix x = gaussian(n, n, 15);
    double scaling = 0, co = 0, counter = 0;
    for (int64_t i = 0; i < n; ++i) {
      for (int64_t j = 0; j < n; ++j) {
        const double s = (x(i, j) + x(j, i)) / 2, a = (x(i, j) - x(j, i)) / 2;
        (i == j ? scaling : co) += s * s;
        counter += a * a;
      }
    }
    const double total = frobenius(x) * frobenius(x) + 7;
    const EnergyBudget budget =
        energy_budget(linalg::symmetry_sums(x, std::vector<double>(static_cast<size_t>(n))), total);
    const double tolerance = 1e-13 * total;  // n² roundings of sums, worst case; n = 70
    EXPECT_NEAR(budget.scaling, scaling, tolerance);
    EXPECT_NEAR(budget.co_rotation, co, tolerance);
    EXPECT_NEAR(budget.counter_rotation, counter, tolerance);
    EXPECT_NEAR(budget.leakage(), 7, 3 * tolerance);
    EXPECT_EQ(budget.total, total);
  }
  EXPECT_EQ(EnergyBudget().leakage(), 0);
  const double none = std::nan("");
  EXPECT_TRUE(std::isnan(EnergyBudget({1, none, none, none}).leakage()));
}

TEST(CounterOverCo, DeviationOfChance) {
  EXPECT_DOUBLE_EQ(counter_over_co_sd(2), 2);
  EXPECT_DOUBLE_EQ(counter_over_co_sd(65), std::sqrt(8.0 / (65 * 64)));
  EXPECT_TRUE(std::isinf(counter_over_co_sd(1)));
}

TEST(LeadingBlockNorm, IsTheBlocksNorm) {
  for (const int64_t k : {1, 7, 18, 20}) {
    const Matrix q = orthonormal(20, 20, 16), d = combined(0.1, gaussian(20, 20, 17), 0, q);
    const Matrix product = times(transposed(d), q);
    const double exact = frobenius(product.view().block(0, 0, k, k));
    // From a difference of squares: √u of ‖D[:, :k]‖ where the block is a small part of it, u·(all/block)² here.
    EXPECT_NEAR(leading_block_norm(d, q, k), exact, 1e-12);
  }
}

TEST(OrthogonalityDeparture, IsTheGramsDistance) {
  const Matrix a = gaussian(9, 6, 18);
  Matrix gram = times(transposed(a), a);
  for (int64_t j = 0; j < 6; ++j) gram(j, j) -= 1;
  EXPECT_NEAR(orthogonality_departure(a), frobenius(gram) / std::sqrt(6.0), 1e-12);
  EXPECT_LE(orthogonality_departure(orthonormal(9, 6, 19)), 1e-15);
}

}  // namespace
}  // namespace gyro
