#include "gyro/probe/cka.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "gyro/base/error.h"
#include "gyro/linalg/linalg.h"
#include "gyro/linalg/test_util.h"

namespace gyro {
namespace {

using Values = std::vector<std::vector<double>>;

template <typename... Each>
std::vector<Matrix> list_of(Each&&... each) {
  std::vector<Matrix> out;
  (out.push_back(std::forward<Each>(each)), ...);
  return out;
}

double biased(const Matrix& x, const Matrix& y) {
  return linear_cka(list_of(x.clone()), list_of(y.clone()))(0, 0);
}

double unbiased(const Matrix& x, const Matrix& y, int64_t batch) {
  return unbiased_linear_cka(list_of(x.clone()), list_of(y.clone()), minibatches(x.rows(), batch))(0, 0);
}

// Y = X M + noise, so that they have something in common.
Matrix related(const Matrix& x, int64_t columns, uint64_t seed) {
  Matrix y = gaussian(x.rows(), columns, seed);
  linalg::gemm(linalg::Op::None, linalg::Op::None, 0.4, x, gaussian(x.cols(), columns, seed + 1), 1, y);
  for (int64_t j = 0; j < columns; ++j) {
    for (int64_t i = 0; i < y.rows(); ++i) y(i, j) += static_cast<double>(j);
  }
  return y;
}

// K of eq. 17, as it stands, of some rows.
Values gram(const Matrix& x, int64_t first, int64_t count) {
  Values k(static_cast<size_t>(count), std::vector<double>(static_cast<size_t>(count), 0));
  for (int64_t a = 0; a < count; ++a) {
    for (int64_t b = 0; b < count; ++b) {
      for (int64_t j = 0; j < x.cols(); ++j) {
        k[static_cast<size_t>(a)][static_cast<size_t>(b)] += x(first + a, j) * x(first + b, j);
      }
    }
  }
  return k;
}

// tr(K H L H), element by element.
double hsic_by_loops(const Values& k, const Values& l) {
  const size_t n = k.size();
  const auto h = [&](size_t a, size_t b) { return (a == b ? 1.0 : 0.0) - 1.0 / static_cast<double>(n); };
  double sum = 0;
  for (size_t a = 0; a < n; ++a) {
    for (size_t b = 0; b < n; ++b) {
      for (size_t c = 0; c < n; ++c) {
        for (size_t d = 0; d < n; ++d) sum += k[a][b] * h(b, c) * l[c][d] * h(d, a);
      }
    }
  }
  return sum;
}

// HSIC_1 as Song et al. define it, a mean over all quadruples of different rows: of k_ij (l_ij + l_qr − 2 l_iq).
double hsic_1_by_loops(const Values& k, const Values& l) {
  const size_t n = k.size();
  double sum = 0, count = 0;
  for (size_t i = 0; i < n; ++i) {
    for (size_t j = 0; j < n; ++j) {
      for (size_t q = 0; q < n; ++q) {
        for (size_t r = 0; r < n; ++r) {
          if (i == j || i == q || i == r || j == q || j == r || q == r) continue;
          sum += k[i][j] * (l[i][j] + l[q][r] - 2 * l[i][q]);
          ++count;
        }
      }
    }
  }
  return sum / count;
}

TEST(Cka, IsTheRatioOfSumsOverTheGramMatrices) {
  for (const int64_t columns : {3, 12}) {  // by columns and by rows
    const Matrix x = gaussian(9, columns, 1), y = related(x, columns + 1, 2);
    const Values k = gram(x, 0, 9), l = gram(y, 0, 9);
    const double expected = hsic_by_loops(k, l) / std::sqrt(hsic_by_loops(k, k) * hsic_by_loops(l, l));
    EXPECT_NEAR(biased(x, y), expected, 1e-12);
    const double ours = hsic_1_by_loops(k, l) / std::sqrt(hsic_1_by_loops(k, k) * hsic_1_by_loops(l, l));
    EXPECT_NEAR(unbiased(x, y, 0), ours, 1e-11);
  }
}

TEST(Cka, OfMinibatchesIsTheRatioOfMeans) {
  const Matrix x = gaussian(14, 6, 3), y = related(x, 5, 4);
  double both = 0, of_x = 0, of_y = 0;
  for (const auto& [first, count] : {Rows{0, 4}, Rows{4, 4}, Rows{8, 6}}) {
    const Values k = gram(x, first, count), l = gram(y, first, count);
    both += hsic_1_by_loops(k, l);
    of_x += hsic_1_by_loops(k, k);
    of_y += hsic_1_by_loops(l, l);
  }
  EXPECT_NEAR(unbiased(x, y, 4), both / std::sqrt(of_x * of_y), 1e-11);
}

TEST(Cka, DoesNotSeeTurnsScalesAndShifts) {
  const Matrix x = gaussian(20, 8, 5), y = related(x, 8, 6);
  Matrix turned = linalg::product(linalg::Op::None, linalg::Op::None, y, orthonormal(8, 8, 7));
  for (int64_t j = 0; j < 8; ++j) {
    for (int64_t i = 0; i < 20; ++i) turned(i, j) = 1e4 * turned(i, j) + static_cast<double>(j * j);
  }
  EXPECT_NEAR(biased(x, turned), biased(x, y), 1e-12);
  EXPECT_NEAR(unbiased(x, turned, 0), unbiased(x, y, 0), 1e-11);
  EXPECT_NEAR(biased(y, turned), 1, 1e-12);
  EXPECT_NEAR(unbiased(y, turned, 5), 1, 1e-11);
}

TEST(Cka, OfIndependentSidesIsRaisedOnlyWhereItIsBiased) {
  const int64_t rows = 40, columns = 400;
  double mean = 0;
  const int draws = 20;
  for (uint64_t seed = 0; seed < draws; ++seed) {
    const Matrix x = gaussian(rows, columns, 100 + 2 * seed), y = gaussian(rows, columns, 101 + 2 * seed);
    EXPECT_NEAR(biased(x, y), 400.0 / 440, 0.02);
    mean += unbiased(x, y, seed % 2 == 0 ? 0 : 8) / draws;
  }
  EXPECT_LT(std::abs(mean), 0.05);
}

TEST(Cka, GivesAMapOfAllPairs) {
  const std::vector<Matrix> a = list_of(gaussian(10, 4, 1), gaussian(10, 4, 2)),
                            b = list_of(gaussian(10, 4, 3), a[1].clone(), gaussian(10, 40, 5));
  const Matrix map = linear_cka(a, b), other = unbiased_linear_cka(a, b, minibatches(10, 5));
  ASSERT_EQ(map.rows(), 2);
  ASSERT_EQ(map.cols(), 3);
  for (int64_t i = 0; i < 2; ++i) {
    for (int64_t j = 0; j < 3; ++j) {
      EXPECT_NEAR(map(i, j), biased(a[static_cast<size_t>(i)], b[static_cast<size_t>(j)]), 1e-12);
      EXPECT_NEAR(other(i, j), unbiased(a[static_cast<size_t>(i)], b[static_cast<size_t>(j)], 5), 1e-11);
    }
  }
  EXPECT_NEAR(map(1, 1), 1, 1e-12);
}

TEST(Cka, IsUndefinedWhereNothingVaries) {
  Matrix same(6, 3, Space::Host);
  for (int64_t j = 0; j < 3; ++j) {
    for (int64_t i = 0; i < 6; ++i) same(i, j) = 0.1 * static_cast<double>(j + 1);
  }
  const Matrix x = gaussian(6, 3, 1);
  EXPECT_TRUE(std::isnan(biased(x, same)));
  EXPECT_TRUE(std::isnan(unbiased(x, same, 0)));
  const Matrix one = gaussian(1, 3, 1), three = gaussian(3, 3, 2);
  EXPECT_TRUE(std::isnan(biased(one, one)));
  EXPECT_TRUE(std::isnan(unbiased(three, three, 0)));
  EXPECT_NEAR(biased(three, three), 1, 1e-12);
}

TEST(Minibatches, TakeAllRowsInOrder) {
  EXPECT_EQ(minibatches(10, 4), (std::vector<Rows>{{0, 4}, {4, 6}}));
  EXPECT_EQ(minibatches(8, 4), (std::vector<Rows>{{0, 4}, {4, 4}}));
  EXPECT_EQ(minibatches(5, 5), (std::vector<Rows>{{0, 5}}));
  EXPECT_EQ(minibatches(7, 0), (std::vector<Rows>{{0, 7}}));
  EXPECT_EQ(minibatches(3, 0), std::vector<Rows>());
  for (const int64_t batch : {3, 8}) {
    try {
      minibatches(7, batch);
      ADD_FAILURE();
    } catch (const Error& error) {
      EXPECT_EQ(error.field(), "batch");
    }
  }
}

}  // namespace
}  // namespace gyro
