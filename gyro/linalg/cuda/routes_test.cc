// Which way a GPU goes: its own routines where they hold, the library's for the rest. What comes of either is
// device_test.cc's to check.

#include <gtest/gtest.h>

#include <cmath>
#include <memory>

#include "gyro/linalg/cuda/polar.h"
#include "gyro/linalg/cuda/tridiagonal.h"
#include "gyro/linalg/test_util.h"

namespace gyro::linalg {
namespace {

class Routes : public testing::Test {
 protected:
  void SetUp() override {
    if (device::gpus().empty()) GTEST_SKIP() << device::why_none();
    scope_ = std::make_unique<device::Scope>(0);
  }

 private:
  std::unique_ptr<device::Scope> scope_;
};

// m x n on the GPU, with singular values from 1 to 10^-digits.
Matrix graded(int64_t m, int64_t n, double digits) {
  return Matrix::copy_of(with_spectrum(m, n, geometric_spectrum(n, std::pow(10, digits)), 1), Space::Device);
}

TEST_F(Routes, PolarFactorWhereTheGramMatrixResolvesAll) {
  for (const double digits : {0.0, 3.0, 6.0}) {
    EXPECT_TRUE(svd_by_polar_factor(graded(300, 250, digits))) << digits;
    EXPECT_TRUE(svd_by_polar_factor(graded(150, 150, digits))) << digits;
  }
}

TEST_F(Routes, NotWhereItDoesNot) {
  for (const double digits : {9.0, 13.0}) EXPECT_FALSE(svd_by_polar_factor(graded(300, 250, digits))) << digits;
  EXPECT_FALSE(svd_by_polar_factor(Matrix::zeros(300, 250)));
  EXPECT_FALSE(svd_by_polar_factor(product(Op::None, Op::Transpose, graded(300, 20, 1), graded(250, 20, 1))));
}

// Squares that overflow or vanish.
TEST_F(Routes, NotForMatricesOfExtremeScale) {
  for (const double scale : {1e-170, 1e170}) {
    Matrix a = graded(220, 220, 1);
    multiply_columns(a, std::vector<double>(220, scale));
    EXPECT_FALSE(svd_by_polar_factor(a));
  }
}

TEST_F(Routes, TwoStagesFromSmallToLargeWhereThereAreClusters) {
  for (const int64_t n : {193, 1536, 8192}) EXPECT_EQ(can_tridiagonalize(n), has_clusters());
  for (const int64_t n : {1, kBand, 8193}) EXPECT_FALSE(can_tridiagonalize(n));
}

}  // namespace
}  // namespace gyro::linalg
