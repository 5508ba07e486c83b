// What threads that help change: nothing of the results.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstring>
#include <functional>
#include <thread>

#include "gyro/base/parallel.h"
#include "gyro/base/team.h"
#include "gyro/linalg/cpu/symv.h"
#include "gyro/linalg/cpu/tridiagonal.h"
#include "gyro/linalg/linalg.h"
#include "gyro/linalg/test_util.h"

namespace gyro::linalg {
namespace {

// `compute` with `threads` − 1 others that have nothing else to do.
Matrix with_helpers(int threads, const std::function<Matrix()>& compute) {
  Matrix out;
  parallel_for(1, threads, [&](int) {
    while (threads_to_share() < threads) std::this_thread::yield();
    out = compute();
  });
  return out;
}

void expect_same_bits(const std::function<Matrix()>& compute, const std::string& what) {
  const Matrix alone = compute();
  for (const int threads : {2, 3, 8}) {
    const Matrix helped = with_helpers(threads, compute);
    const auto count = static_cast<size_t>(alone.rows() * alone.cols());
    EXPECT_EQ(std::memcmp(alone.data(), helped.data(), count * sizeof(double)), 0) << what << ", " << threads;
  }
}

TEST(Shared, ProductsHaveTheSameBits) {
  for (const auto& [m, n, k] :
       {std::array<int64_t, 3>{300, 517, 129}, {1000, 1111, 70}, {97, 640, 1000}, {768, 768, 768}}) {
    for (const Op op_a : {Op::None, Op::Transpose}) {
      for (const Op op_b : {Op::None, Op::Transpose}) {
        const Matrix a = op_a == Op::None ? gaussian(m, k, 1) : gaussian(k, m, 1);
        const Matrix b = op_b == Op::None ? gaussian(k, n, 2) : gaussian(n, k, 2);
        expect_same_bits([&] { return product(op_a, op_b, a, b); }, fmt::format("{} x {} x {}", m, n, k));
      }
    }
  }
}

TEST(Shared, GramMatricesHaveTheSameBits) {
  for (const int64_t n : {300, 1024, 1111, 1536}) {
    for (const Op op : {Op::None, Op::Transpose}) {
      const Matrix a = op == Op::None ? gaussian(n, 200, 3) : gaussian(200, n, 3);
      expect_same_bits(
          [&] {
            Matrix g = Matrix::zeros(n, n);
            syrk(op, 1, a, 1, g);
            return g;
          },
          fmt::format("n = {}", n));
    }
  }
}

TEST(Shared, EigenproblemsHaveTheSameBits) {
  for (const int64_t n : {100, 800, 1031}) {
    const Matrix a = gaussian(n, n, 4), g = product(Op::Transpose, Op::None, a, a);
    expect_same_bits([&] { return eigh(g.clone()).vectors; }, fmt::format("n = {}", n));
  }
}

TEST(Symv, AgreesWithTheProductOfTheWholeMatrix) {
  for (const int64_t n : {1, 2, 3, 4, 5, 7, 8, 9, 31, 100, 767, 768, 769, 1000}) {
    Matrix a = random_symmetric(n, 5);
    const Matrix x = gaussian(n, 1, 6), expected = product(Op::None, Op::None, a, x);
    for (int64_t j = 0; j < n; ++j) std::fill_n(a.col(j), j, std::nan(""));  // the upper triangle is not looked at
    for (const Sweep sweep : {Sweep::Forward, Sweep::Backward}) {
      Matrix y(n, 1);
      symv_lower(a, x.data(), y.data(), sweep);
      for (int64_t i = 0; i < n; ++i) EXPECT_NEAR(y(i, 0), expected(i, 0), 1e-12 * static_cast<double>(n)) << n;
    }
  }
}

// Q T Qᵀ = A, with Q written out by apply_reflectors.
TEST(Tridiagonal, IsOrthogonallySimilarToTheMatrix) {
  for (const int64_t n : {1, 2, 3, 15, 16, 17, 18, 33, 130, 400, 800}) {
    const Matrix b = gaussian(n, n, 7), a = product(Op::Transpose, Op::None, b, b);
    Matrix reduced = a.clone(), q = Matrix::zeros(n, n);
    const TridiagonalForm t = tridiagonalize(reduced);
    for (int64_t j = 0; j < n; ++j) q(j, j) = 1;
    apply_reflectors(reduced, t.tau, q);
    Matrix qt = q.clone(), rest = a.clone();
    for (int64_t j = 0; j < n; ++j) {
      for (int64_t i = 0; i < n; ++i) {
        const auto at = static_cast<size_t>(j);
        qt(i, j) = q(i, j) * t.diagonal[at] + (j > 0 ? q(i, j - 1) * t.off_diagonal[at - 1] : 0) +
                   (j + 1 < n ? q(i, j + 1) * t.off_diagonal[at] : 0);
      }
    }
    gemm(Op::None, Op::Transpose, -1, qt, q, 1, rest);
    EXPECT_LE(norm(rest), 4 * static_cast<double>(n + 10) * 0x1p-53 * norm(a)) << n;
  }
}

}  // namespace
}  // namespace gyro::linalg
