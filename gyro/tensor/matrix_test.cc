#include "gyro/tensor/matrix.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <thread>
#include <utility>
#include <vector>

namespace gyro {
namespace {

TEST(Matrix, IsColumnMajor) {
  Matrix m(3, 2);
  for (int64_t j = 0; j < 2; ++j) {
    for (int64_t i = 0; i < 3; ++i) m(i, j) = static_cast<double>(10 * i + j);
  }
  EXPECT_EQ(std::vector<double>(m.data(), m.data() + 6), (std::vector<double>{0, 10, 20, 1, 11, 21}));
  EXPECT_EQ(m.col(1), m.data() + 3);
  EXPECT_EQ(std::as_const(m)(2, 1), 21);
}

TEST(Matrix, CloneIsACopyAndMoveLeavesNothing) {
  Matrix m = Matrix::zeros(2, 2);
  const Matrix copy = m.clone();
  m(0, 0) = 5;
  EXPECT_EQ(copy(0, 0), 0);
  const Matrix moved = std::move(m);
  EXPECT_EQ(moved(0, 0), 5);
  EXPECT_TRUE(Matrix().empty());
}

TEST(Matrix, BlocksOfBlocksShareTheElements) {
  Matrix m = Matrix::zeros(5, 6);
  const MatrixView inner = m.view().block(1, 2, 4, 3).block(2, 1, 2, 2);
  EXPECT_EQ(inner.rows, 2);
  EXPECT_EQ(inner.cols, 2);
  EXPECT_EQ(inner.ld, 5);
  inner(1, 0) = 3;
  EXPECT_EQ(m(4, 3), 3);
  const ConstMatrixView constant = ConstMatrixView(m).block(4, 0, 1, 6);
  EXPECT_EQ(constant(0, 3), 3);
  EXPECT_EQ(constant.col(3), m.data() + 19);
}

// Above 4 MB blocks are kept for reuse: zeros() must clear what a predecessor left, and live blocks never overlap.
TEST(Matrix, LargeBlocksAreReusedSafely) {
  constexpr int64_t kRows = 1024, kCols = 640;
  for (int round = 0; round < 3; ++round) {
    std::vector<Matrix> live;
    for (int i = 0; i < 4; ++i) {
      live.push_back(Matrix::zeros(kRows, kCols));
      Matrix& m = live.back();
      EXPECT_EQ(std::count(m.data(), m.data() + kRows * kCols, 0.0), kRows * kCols);
      EXPECT_EQ(reinterpret_cast<uintptr_t>(m.data()) % 64, 0u);
      std::fill_n(m.data(), kRows * kCols, i + 1.0);
    }
    for (size_t i = 0; i < live.size(); ++i) {
      EXPECT_EQ(live[i](0, 0), static_cast<double>(i + 1));
      EXPECT_EQ(live[i](kRows - 1, kCols - 1), static_cast<double>(i + 1));
    }
  }
}

TEST(Matrix, MayBeFreedByAnotherThread) {
  Matrix m = Matrix::zeros(1024, 640);
  std::thread([taken = std::move(m)]() mutable { taken = Matrix(); }).join();
  const Matrix again = Matrix::zeros(1024, 640);
  EXPECT_EQ(again(1023, 639), 0);
}

}  // namespace
}  // namespace gyro
