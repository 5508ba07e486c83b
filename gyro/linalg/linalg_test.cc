#include "gyro/linalg/linalg.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "gyro/base/random.h"
#include "gyro/linalg/lanczos.h"
#include "gyro/linalg/test_util.h"

namespace gyro::linalg {
namespace {

constexpr double kUnitRoundoff = 0x1p-53;

/// A matrix inside a larger one (ld = rows + 3) whose other elements are NaN, so that touching them shows.
struct Framed {
  Framed(int64_t rows, int64_t cols, uint64_t seed) : frame(rows + 3, cols + 2) {
    std::fill_n(frame.data(), frame.rows() * frame.cols(), std::nan(""));
    view = frame.view().block(2, 1, rows, cols);
    Random random(seed);
    for (int64_t j = 0; j < cols; ++j) {
      for (int64_t i = 0; i < rows; ++i) view(i, j) = random.normal();
    }
  }
  int64_t untouched() const { return std::count_if(frame.data(), frame.data() + size(), is_nan); }
  int64_t size() const { return frame.rows() * frame.cols(); }
  static bool is_nan(double x) { return std::isnan(x); }

  Matrix frame;
  MatrixView view;
};

double element(Op op, ConstMatrixView a, int64_t i, int64_t j) {
  return op == Op::None ? a(i, j) : a(j, i);
}

/// alpha Σ_l op(A)_il op(B)_lj + beta C_ij, and the same of absolute values: `inner` + 2 roundings each change the
/// result by at most u times the latter.
struct Entry {
  double value = 0, magnitude = 0;
};
Entry product_entry(Op op_a, Op op_b, double alpha, ConstMatrixView a, ConstMatrixView b, int64_t i, int64_t j) {
  long double sum = 0, magnitude = 0;
  const int64_t inner = op_a == Op::None ? a.cols : a.rows;
  for (int64_t l = 0; l < inner; ++l) {
    const long double term = static_cast<long double>(element(op_a, a, i, l)) * element(op_b, b, l, j);
    sum += term;
    magnitude += std::abs(term);
  }
  return {static_cast<double>(alpha * sum), static_cast<double>(std::abs(alpha) * magnitude)};
}

struct Shape {
  int64_t m, n, k;
};
const Shape kShapes[] = {{1, 1, 1}, {2, 1, 3}, {1, 7, 5}, {13, 17, 31}, {65, 3, 129}, {33, 35, 0}, {40, 67, 9}};
constexpr Op kOps[] = {Op::None, Op::Transpose};

// |C − C_naive| ≤ (k + 2) u (|alpha| |op(A)| |op(B)| + |beta C|), element by element: the bound of any order of sums.
TEST(Gemm, AgainstLoops) {
  for (const auto& [m, n, k] : kShapes) {
    for (const Op op_a : kOps) {
      for (const Op op_b : kOps) {
        for (const double beta : {0.0, 1.0, -0.5}) {
          const Framed a(op_a == Op::None ? m : k, op_a == Op::None ? k : m, 1);
          const Framed b(op_b == Op::None ? k : n, op_b == Op::None ? n : k, 2);
          Framed c(m, n, 3);
          const Framed before(m, n, 3);
          if (beta == 0) c.view(0, 0) = std::nan("");  // 'with beta = 0, C may hold anything'
          gemm(op_a, op_b, 1.5, a.view, b.view, beta, c.view);
          for (int64_t j = 0; j < n; ++j) {
            for (int64_t i = 0; i < m; ++i) {
              const Entry e = product_entry(op_a, op_b, 1.5, a.view, b.view, i, j);
              const double old = beta * before.view(i, j);
              EXPECT_NEAR(c.view(i, j), e.value + old,
                          static_cast<double>(k + 2) * kUnitRoundoff * (e.magnitude + std::abs(old)));
            }
          }
          EXPECT_EQ(c.untouched(), c.size() - m * n);
        }
      }
    }
  }
}

// The same bound for the lower triangle; the strict upper triangle keeps its bits.
TEST(Syrk, LowerTriangleAgainstLoops) {
  for (const auto& [m, unused, k] : kShapes) {
    for (const Op op : kOps) {
      for (const double beta : {0.0, 1.0}) {
        const Framed a(op == Op::None ? m : k, op == Op::None ? k : m, 4);
        Framed c(m, m, 5);
        const Framed before(m, m, 5);
        syrk(op, -2, a.view, beta, c.view);
        const Op other = op == Op::None ? Op::Transpose : Op::None;
        for (int64_t j = 0; j < m; ++j) {
          for (int64_t i = 0; i < m; ++i) {
            const Entry e = product_entry(op, other, -2, a.view, a.view, i, j);
            const double old = beta * before.view(i, j);
            const double bound = static_cast<double>(k + 2) * kUnitRoundoff * (e.magnitude + std::abs(old));
            EXPECT_NEAR(c.view(i, j), i < j ? before.view(i, j) : e.value + old, i < j ? 0 : bound);
          }
        }
        EXPECT_EQ(c.untouched(), c.size() - m * m);
      }
    }
  }
}

TEST(Symm, ReadsTheLowerTriangleOnly) {
  for (const auto& [m, n, unused] : kShapes) {
    Framed a(m, m, 6);
    Matrix full(m, m);
    for (int64_t j = 0; j < m; ++j) {
      for (int64_t i = 0; i < m; ++i) {
        full(i, j) = a.view(std::max(i, j), std::min(i, j));
        if (i < j) a.view(i, j) = std::nan("");
      }
    }
    const Framed b(m, n, 7);
    for (const double beta : {0.0, -1.0}) {
      Framed c(m, n, 8);
      const Framed before(m, n, 8);
      symm(a.view, b.view, beta, c.view);
      for (int64_t j = 0; j < n; ++j) {
        for (int64_t i = 0; i < m; ++i) {
          const Entry e = product_entry(Op::None, Op::None, 1, full, b.view, i, j);
          const double old = beta * before.view(i, j);
          EXPECT_NEAR(c.view(i, j), e.value + old,
                      static_cast<double>(m + 2) * kUnitRoundoff * (e.magnitude + std::abs(old)));
        }
      }
      EXPECT_EQ(c.untouched(), c.size() - m * n);
    }
  }
}

TEST(Sizes, ThatDisagreeAreLogicErrors) {
  Matrix a = Matrix::zeros(3, 2), b = Matrix::zeros(3, 2), c = Matrix::zeros(3, 2);
  EXPECT_THROW(gemm(Op::None, Op::None, 1, a, b, 0, c), std::logic_error);
  EXPECT_THROW(syrk(Op::None, 1, a, 0, c), std::logic_error);
  EXPECT_THROW(symm(a, b, 0, c), std::logic_error);
  EXPECT_THROW(eigh(Matrix::zeros(3, 2)), std::logic_error);
  EXPECT_THROW(eigvalsh(Matrix::zeros(3, 2)), std::logic_error);
  EXPECT_THROW(svd(Matrix::zeros(2, 3)), std::logic_error);
}

TEST(Norm, OfAView) {
  const Framed a(5, 4, 9);
  long double sum = 0;
  for (int64_t j = 0; j < 4; ++j) {
    for (int64_t i = 0; i < 5; ++i) sum += static_cast<long double>(a.view(i, j)) * a.view(i, j);
  }
  EXPECT_NEAR(norm(a.view), static_cast<double>(std::sqrt(sum)), 20 * kUnitRoundoff * static_cast<double>(sum));
  EXPECT_EQ(norm(Matrix()), 0);
}

Matrix transpose_times(const Matrix& a, const Matrix& b) {
  Matrix c(a.cols(), b.cols());
  gemm(Op::Transpose, Op::None, 1, a, b, 0, c);
  return c;
}

/// ‖QᵀQ − I‖_F
double orthogonality(const Matrix& q) {
  Matrix g = transpose_times(q, q);
  for (int64_t j = 0; j < g.cols(); ++j) g(j, j) -= 1;
  return norm(g);
}

/// Q diag(values) Qᵀ for the orthogonal Q of a gaussian matrix, symmetric to the last bit.
Matrix symmetric_with(const std::vector<double>& values, uint64_t seed) {
  const auto n = static_cast<int64_t>(values.size());
  const Matrix q = svd(gaussian(n, n, seed)).u;
  Matrix scaled = q.clone(), a(n, n);
  for (int64_t j = 0; j < n; ++j) {
    for (int64_t i = 0; i < n; ++i) scaled(i, j) *= values[static_cast<size_t>(j)];
  }
  gemm(Op::None, Op::Transpose, 1, scaled, q, 0, a);
  for (int64_t j = 0; j < n; ++j) {
    for (int64_t i = 0; i < j; ++i) a(i, j) = a(j, i);
  }
  return a;
}

// Residuals, u the unit roundoff (as SLATE's testers state them), p = n + 10: at n = 1 ... 10 the handful of roundings
// that normalise a vector outweighs what grows with n (2 × 2 and 3 × 3 leave 4 to 6 u, which kernel decides):
//   ‖A V − V Λ‖_F / (p ‖A‖_F) ≤ 3 u,   ‖VᵀV − I‖_F / p ≤ 3 u,
//   |Σ λ_j − tr A| and |Σ λ_j² − ‖A‖_F²|/‖A‖_F ≤ 3 p u ‖A‖_F,   values descending, eigvalsh the same to 3 p u ‖A‖_F.
// A is symmetric; only its lower triangle is given.
void check_eigh(const Matrix& a) {
  const int64_t n = a.rows();
  const double size = norm(a), bound = 3 * static_cast<double>(n + 10) * kUnitRoundoff;
  Matrix lower = a.clone(), lower_again = a.clone();
  double trace = 0;
  for (int64_t j = 0; j < n; ++j) {
    trace += a(j, j);
    for (int64_t i = 0; i < j; ++i) lower(i, j) = lower_again(i, j) = std::nan("");
  }
  const Eigh e = eigh(std::move(lower));
  const std::vector<double> values = eigvalsh(std::move(lower_again));
  ASSERT_EQ(e.values.size(), static_cast<size_t>(n));
  ASSERT_EQ(values.size(), e.values.size());
  EXPECT_TRUE(std::is_sorted(e.values.rbegin(), e.values.rend()));
  EXPECT_TRUE(std::is_sorted(values.rbegin(), values.rend()));
  Matrix residual(n, n);
  gemm(Op::None, Op::None, 1, a, e.vectors, 0, residual);
  double sum = 0, squares = 0;
  for (int64_t j = 0; j < n; ++j) {
    const double value = e.values[static_cast<size_t>(j)];
    for (int64_t i = 0; i < n; ++i) residual(i, j) -= value * e.vectors(i, j);
    sum += value;
    squares += value * value;
    EXPECT_NEAR(values[static_cast<size_t>(j)], value, bound * size);
  }
  EXPECT_LE(norm(residual), bound * size) << "n = " << n;
  EXPECT_LE(orthogonality(e.vectors), bound) << "n = " << n;
  EXPECT_NEAR(sum, trace, bound * size);
  EXPECT_NEAR(squares, size * size, bound * size * size);
}

constexpr int64_t kSizes[] = {1, 2, 3, 128, 129, 130, 300};

TEST(Eigh, RandomMatrices) {
  for (const int64_t n : kSizes) check_eigh(random_symmetric(n, 10));
}

TEST(Eigh, RepeatedEigenvalues) {
  for (const int64_t n : {2, 65, 200}) {
    std::vector<double> values(static_cast<size_t>(n), 2.0);
    check_eigh(symmetric_with(values, 11));
    for (size_t j = values.size() / 2; j < values.size(); ++j) values[j] = -1;
    check_eigh(symmetric_with(values, 12));
  }
  check_eigh(Matrix::zeros(40, 40));
  Matrix identity = Matrix::zeros(150, 150);
  for (int64_t j = 0; j < 150; ++j) identity(j, j) = 1;
  check_eigh(identity);
}

TEST(Eigh, GradedAndKnownSpectrum) {
  std::vector<double> values;
  for (int j = 0; j < 100; ++j) values.push_back(std::pow(10.0, -j / 8.0));
  const Matrix a = symmetric_with(values, 13);
  check_eigh(a);
  const Eigh e = eigh(a.clone());
  // Weyl: |λ_j − given| ≤ ‖δA‖ of the backward error and of forming A, (3 n + 3 n) u σ_1 √n at most.
  for (size_t j = 0; j < values.size(); ++j) EXPECT_NEAR(e.values[j], values[j], 6 * 100 * kUnitRoundoff * 10);
}

TEST(Eigh, OfNothing) {
  EXPECT_TRUE(eigh(Matrix()).values.empty());
  EXPECT_TRUE(eigvalsh(Matrix()).empty());
}

// Residuals, r = √((m + 10)(n + 10)) for p's reason above: ‖A − U Σ Vᵀ‖_F / (r ‖A‖_F), ‖UᵀU − I‖_F / r and
// ‖VᵀV − I‖_F / r ≤ 3 u, |Σ σ² − ‖A‖_F²| ≤ 6 r u ‖A‖_F²; values descending and not negative.
void check_svd(const Matrix& a) {
  const int64_t m = a.rows(), n = a.cols();
  const double size = norm(a), root = std::sqrt(static_cast<double>((m + 10) * (n + 10)));
  const Svd s = svd(a.clone());
  ASSERT_EQ(s.values.size(), static_cast<size_t>(n));
  ASSERT_EQ(s.u.rows(), m);
  EXPECT_TRUE(std::is_sorted(s.values.rbegin(), s.values.rend()));
  EXPECT_GE(s.values.back(), 0);
  Matrix scaled = s.u.clone(), residual = a.clone();
  double squares = 0;
  for (int64_t j = 0; j < n; ++j) {
    const double value = s.values[static_cast<size_t>(j)];
    squares += value * value;
    for (int64_t i = 0; i < m; ++i) scaled(i, j) *= value;
  }
  gemm(Op::None, Op::Transpose, -1, scaled, s.v, 1, residual);
  EXPECT_LE(norm(residual), 3 * root * kUnitRoundoff * size) << m << " x " << n;
  EXPECT_LE(orthogonality(s.u), 3 * root * kUnitRoundoff) << m << " x " << n;
  EXPECT_LE(orthogonality(s.v), 3 * root * kUnitRoundoff) << m << " x " << n;
  EXPECT_NEAR(squares, size * size, 6 * root * kUnitRoundoff * size * size);
}

TEST(Svd, RandomMatrices) {
  for (const int64_t n : kSizes) check_svd(gaussian(n, n, 14));
  check_svd(gaussian(300, 129, 15));
  check_svd(gaussian(57, 1, 16));
  EXPECT_TRUE(svd(Matrix()).values.empty());
}

TEST(Svd, RankDeficientAndRepeated) {
  Matrix a(60, 30);
  gemm(Op::None, Op::None, 1, gaussian(60, 4, 17), gaussian(4, 30, 18), 0, a);
  check_svd(a);
  const Svd s = svd(a.clone());
  // Backward stability: what should vanish is below p(m, n) u σ_1 (p as in the residual above).
  EXPECT_LE(s.values[4], 3 * std::sqrt(60.0 * 30) * kUnitRoundoff * s.values[0]);
  EXPECT_GE(s.values[3], 1);
  check_svd(Matrix::zeros(20, 10));
  check_svd(svd(gaussian(90, 40, 19)).u);
}

// The header promises a relative error below the tolerance; eigvalsh itself is good to about p u, p as above.
void check_largest(const Matrix& a, double tolerance) {
  Matrix lower = a.clone();
  for (int64_t j = 0; j < a.cols(); ++j) {
    for (int64_t i = 0; i < j; ++i) lower(i, j) = std::nan("");
  }
  const double exact = eigvalsh(a.clone()).front();
  EXPECT_NEAR(largest_eigenvalue(lower, tolerance), exact,
              (tolerance + 3 * static_cast<double>(a.rows() + 10) * kUnitRoundoff) * exact)
      << "n = " << a.rows();
}

Matrix gram_of(const Matrix& a) {
  return transpose_times(a, a);
}

TEST(LargestEigenvalue, AgainstEigvalsh) {
  for (const int64_t n : kSizes) {
    for (const double tolerance : {1e-3, 1e-8, 1e-12}) check_largest(gram_of(gaussian(n + 5, n, 20)), tolerance);
  }
}

TEST(LargestEigenvalue, LowRankAndClustered) {
  for (const int64_t rank : {1, 2, 4, 5}) check_largest(gram_of(gaussian(rank, 100, 21)), 1e-8);
  std::vector<double> cluster(80, 1.0);
  check_largest(symmetric_with(cluster, 22), 1e-10);
  cluster[0] = 1 + 1e-6;
  check_largest(symmetric_with(cluster, 23), 1e-8);
  Matrix corner = Matrix::zeros(50, 50);
  corner(49, 49) = 3;
  check_largest(corner, 1e-8);
  EXPECT_EQ(largest_eigenvalue(Matrix::zeros(30, 30), 1e-8), 0);
  EXPECT_EQ(largest_eigenvalue(Matrix(), 1e-8), 0);
}

TEST(Library, NamesItself) {
  EXPECT_EQ(library().substr(0, 8), "OpenBLAS");
}

}  // namespace
}  // namespace gyro::linalg
