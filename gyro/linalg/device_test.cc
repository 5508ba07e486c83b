// Every operation on every device, against loops and identities. A machine without a GPU skips those cases and says so.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <thread>

#include "gyro/linalg/lanczos.h"
#include "gyro/linalg/linalg.h"
#include "gyro/linalg/test_util.h"
#include "gyro/tensor/narrow.h"

namespace gyro::linalg {
namespace {

constexpr double kUnitRoundoff = 0x1p-53;

/// The parameter: −1 is the host, others are GPUs.
class OnDevice : public testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    if (GetParam() < 0) return;
    if (device::gpus().size() <= static_cast<size_t>(GetParam())) GTEST_SKIP() << device::why_none();
    scope_ = std::make_unique<device::Scope>(GetParam());
  }

 private:
  std::unique_ptr<device::Scope> scope_;
};

Matrix there(ConstMatrixView m) {
  return Matrix::copy_of(m, device::here());
}

Matrix back(ConstMatrixView m) {
  return Matrix::copy_of(m, Space::Host);
}

Matrix widened(const Weight& weight) {
  Matrix all(weight.cols, weight.rows, Space::Host);
  gyro::widen(weight, 0, weight.rows, 0, weight.cols, all.data(), weight.cols);
  return all;
}

double element(Op op, const Matrix& a, int64_t i, int64_t j) {
  return op == Op::None ? a(i, j) : a(j, i);
}

Matrix naive_product(Op op_a, Op op_b, const Matrix& a, const Matrix& b) {
  const int64_t inner = op_a == Op::None ? a.cols() : a.rows();
  Matrix c(op_a == Op::None ? a.rows() : a.cols(), op_b == Op::None ? b.cols() : b.rows(), Space::Host);
  for (int64_t j = 0; j < c.cols(); ++j) {
    for (int64_t i = 0; i < c.rows(); ++i) {
      long double sum = 0;
      for (int64_t l = 0; l < inner; ++l)
        sum += static_cast<long double>(element(op_a, a, i, l)) * element(op_b, b, l, j);
      c(i, j) = static_cast<double>(sum);
    }
  }
  return c;
}

double largest(const Matrix& a) {
  return std::abs(*std::max_element(a.data(), a.data() + a.rows() * a.cols(),
                                    [](double x, double y) { return std::abs(x) < std::abs(y); }));
}

double distance(const Matrix& a, const Matrix& b) {
  EXPECT_EQ(a.rows(), b.rows());
  EXPECT_EQ(a.cols(), b.cols());
  double sum = 0;
  for (int64_t i = 0; i < a.rows() * a.cols(); ++i) sum += (a.data()[i] - b.data()[i]) * (a.data()[i] - b.data()[i]);
  return std::sqrt(sum);
}

/// The lower triangle; NaN above, so that reading it shows.
Matrix lower_of(const Matrix& a) {
  Matrix lower = a.clone();
  for (int64_t j = 0; j < a.cols(); ++j) {
    for (int64_t i = 0; i < j; ++i) lower(i, j) = std::nan("");
  }
  return lower;
}

TEST_P(OnDevice, Products) {
  for (const auto& [m, n, k] : {std::array<int64_t, 3>{1, 1, 1}, {13, 17, 31}, {65, 3, 129}, {100, 257, 64}}) {
    for (const Op op_a : {Op::None, Op::Transpose}) {
      for (const Op op_b : {Op::None, Op::Transpose}) {
        const Matrix a = op_a == Op::None ? gaussian(m, k, 1) : gaussian(k, m, 1);
        const Matrix b = op_b == Op::None ? gaussian(k, n, 2) : gaussian(n, k, 2);
        const Matrix c = back(product(op_a, op_b, there(a), there(b)));
        EXPECT_LE(distance(c, naive_product(op_a, op_b, a, b)),
                  static_cast<double>(k + 2) * kUnitRoundoff * norm(a) * norm(b));
      }
    }
  }
}

TEST_P(OnDevice, AccumulatesIntoABlock) {
  const Matrix a = gaussian(20, 30, 3), b = gaussian(30, 10, 4), c0 = gaussian(40, 50, 5);
  Matrix c = there(c0);
  gemm(Op::None, Op::None, 2, there(a), there(b), -1, c.view().block(7, 9, 20, 10));
  const Matrix result = back(c), ab = naive_product(Op::None, Op::None, a, b);
  for (int64_t j = 0; j < 50; ++j) {
    for (int64_t i = 0; i < 40; ++i) {
      const bool inside = i >= 7 && i < 27 && j >= 9 && j < 19;
      EXPECT_NEAR(result(i, j), inside ? 2 * ab(i - 7, j - 9) - c0(i, j) : c0(i, j), inside ? 1e-12 : 0);
    }
  }
}

TEST_P(OnDevice, SymmetricProducts) {
  const Matrix a = gaussian(70, 33, 6);
  for (const Op op : {Op::None, Op::Transpose}) {
    const int64_t n = op == Op::None ? 70 : 33;
    const Matrix full = naive_product(op, op == Op::None ? Op::Transpose : Op::None, a, a);
    Matrix c = there(lower_of(gaussian(n, n, 7)));
    syrk(op, 1, there(a), 0, c);
    const Matrix got = back(c);
    for (int64_t j = 0; j < n; ++j) {
      for (int64_t i = 0; i < n; ++i) {
        if (i < j) {
          EXPECT_TRUE(std::isnan(got(i, j)));
        } else {
          EXPECT_NEAR(got(i, j), full(i, j), 80 * kUnitRoundoff * norm(a) * norm(a));
        }
      }
    }
  }
  const Matrix s = random_symmetric(50, 8);
  for (const int64_t columns : {1, 16}) {
    const Matrix b = gaussian(50, columns, 9);
    Matrix c = there(b);
    symm(there(lower_of(s)), there(b), -1, c);
    Matrix expected = naive_product(Op::None, Op::None, s, b);
    add(-1, b, expected);
    EXPECT_LE(distance(back(c), expected), 60 * kUnitRoundoff * norm(s) * norm(b));
  }
  EXPECT_NEAR(symmetric_norm(there(lower_of(s))), norm(s), 1e-12 * norm(s));
}

TEST_P(OnDevice, Elementwise) {
  const Matrix x = gaussian(37, 41, 10), y = gaussian(37, 41, 11);
  std::vector<double> rows(37), cols(41);
  for (size_t i = 0; i < rows.size(); ++i) rows[i] = 0.5 + static_cast<double>(i);
  for (size_t j = 0; j < cols.size(); ++j) cols[j] = 3 + static_cast<double>(j);
  const auto expect_each = [&](const Matrix& got, auto value) {
    const Matrix here = back(got);
    for (int64_t j = 0; j < 41; ++j) {
      for (int64_t i = 0; i < 37; ++i) ASSERT_DOUBLE_EQ(here(i, j), value(i, j));
    }
  };
  const auto row = [&](int64_t i) { return rows[static_cast<size_t>(i)]; };
  const auto col = [&](int64_t j) { return cols[static_cast<size_t>(j)]; };
  Matrix t = there(x);
  multiply_rows(t, rows);
  expect_each(t, [&](int64_t i, int64_t j) { return x(i, j) * row(i); });
  t = there(x);
  divide_rows(t, rows);
  expect_each(t, [&](int64_t i, int64_t j) { return x(i, j) / row(i); });
  t = there(x);
  multiply_columns(t, cols);
  expect_each(t, [&](int64_t i, int64_t j) { return x(i, j) * col(j); });
  t = there(x);
  divide_columns(t, cols);
  expect_each(t, [&](int64_t i, int64_t j) { return x(i, j) / col(j); });
  t = there(x);
  add(0.25, there(y), t);
  const Matrix sum = back(t);
  for (int64_t j = 0; j < 41; ++j) {
    for (int64_t i = 0; i < 37; ++i) ASSERT_NEAR(sum(i, j), x(i, j) + 0.25 * y(i, j), 1e-15);
  }
  double dot_xy = 0;
  for (int64_t i = 0; i < 37 * 41; ++i) dot_xy += x.data()[i] * y.data()[i];
  EXPECT_NEAR(dot(there(x), there(y)), dot_xy, 1e-12);
  const Matrix flipped = back(transposed(there(x)));
  for (int64_t j = 0; j < 41; ++j) {
    for (int64_t i = 0; i < 37; ++i) ASSERT_EQ(flipped(j, i), x(i, j));
  }
}

// Every sum over pairs, by definition.
void expect_pair_sums(const Matrix& x, const std::vector<double>& sigma, const SymmetrySums& got) {
  SymmetrySums sums;
  for (int64_t i = 0; i < x.rows(); ++i) {
    for (int64_t j = i + 1; j < x.rows(); ++j) {
      const double a = sigma[static_cast<size_t>(i)], b = sigma[static_cast<size_t>(j)];
      const double p = std::pow(a - b, 2), q = 2 * a * b, w = p / (p + q), t = 2 * x(i, j) * x(j, i);
      const double side = a > b ? std::pow(x(j, i), 2) - std::pow(x(i, j), 2) : 0;
      sums.products += t * t / 4;
      sums.sides += side;
      sums.side_squares += side * side;
      sums.tw += t * w;
      sums.pw += p * w;
      sums.qw += q * w;
      sums.ttw += t * t * w;
      sums.ttww += t * t * w * w;
    }
  }
  for (double SymmetrySums::*member :
       {&SymmetrySums::products, &SymmetrySums::sides, &SymmetrySums::side_squares, &SymmetrySums::tw,
        &SymmetrySums::pw, &SymmetrySums::qw, &SymmetrySums::ttw, &SymmetrySums::ttww}) {
    EXPECT_NEAR(got.*member, sums.*member, 1e-12 * sums.side_squares);
  }
}

TEST_P(OnDevice, SquareElementwise) {
  const Matrix x = gaussian(67, 67, 12), b = random_symmetric(67, 13);
  Matrix t = there(x);
  std::vector<double> shift(67);
  for (size_t i = 0; i < shift.size(); ++i) shift[i] = static_cast<double>(i) - 20;
  add_to_diagonal(t, shift);
  const std::vector<double> moved = diagonal(t);
  for (int64_t i = 0; i < 67; ++i) EXPECT_EQ(moved[static_cast<size_t>(i)], x(i, i) + (static_cast<double>(i) - 20));

  Matrix g = there(lower_of(b));
  add_with_transpose(there(lower_of(b)), there(x), g);
  const Matrix sum = back(g);
  double diagonal_square = 0, symmetric_square = 0, antisymmetric_square = 0;
  for (int64_t j = 0; j < 67; ++j) {
    diagonal_square += x(j, j) * x(j, j);
    for (int64_t i = 0; i < 67; ++i) {
      if (i < j) {
        EXPECT_TRUE(std::isnan(sum(i, j)));
      } else {
        EXPECT_NEAR(sum(i, j), 2 * b(i, j) + x(i, j) + x(j, i), 1e-14);
      }
      if (i == j) continue;
      symmetric_square += std::pow((x(i, j) + x(j, i)) / 2, 2);
      antisymmetric_square += std::pow((x(i, j) - x(j, i)) / 2, 2);
    }
  }
  std::vector<double> sigma(67);
  for (size_t i = 0; i < sigma.size(); ++i) sigma[i] = 1 / (1.0 + static_cast<double>(i / 2));  // some of them equal
  const SymmetrySums sums = symmetry_sums(there(x), sigma);
  expect_pair_sums(x, sigma, sums);
  EXPECT_NEAR(sums.diagonal, diagonal_square, 1e-11);
  EXPECT_NEAR(sums.symmetric, symmetric_square, 1e-10);
  EXPECT_NEAR(sums.antisymmetric, antisymmetric_square, 1e-10);
}

TEST_P(OnDevice, OrientsColumns) {
  Matrix s = gaussian(300, 20, 14), other = gaussian(5, 20, 15);
  s(4, 0) = -9;
  s(200, 0) = 9;  // equal magnitude: the first decides
  Matrix s_there = there(s), other_there = there(other);
  orient_columns(s_there, other_there);
  const Matrix got = back(s_there), followed = back(other_there);
  for (int64_t j = 0; j < 20; ++j) {
    const double* top =
        std::max_element(s.col(j), s.col(j) + 300, [](double a, double b) { return std::abs(a) < std::abs(b); });
    const double sign = *top < 0 ? -1 : 1;
    for (int64_t i = 0; i < 300; ++i) ASSERT_EQ(got(i, j), sign * s(i, j));
    for (int64_t i = 0; i < 5; ++i) ASSERT_EQ(followed(i, j), sign * other(i, j));
  }
}

TEST_P(OnDevice, PassesOverBaseAndPost) {
  const Matrix base = gaussian(83, 29, 16);
  Matrix post = gaussian(83, 29, 17);
  for (int64_t i = 0; i < 500; ++i) post.data()[i] = base.data()[i];
  ChangeSums expected;
  double left = 0;
  for (int64_t i = 0; i < 83 * 29; ++i) {
    const double b = base.data()[i], p = post.data()[i];
    expected.inner += b * (p - b);
    expected.change += (p - b) * (p - b);
    expected.post += p * p;
    expected.unchanged += p == b ? 1 : 0;
    left += (p - 0.9 * b) * (p - 0.9 * b);
  }
  EXPECT_NEAR(residual_square(there(base), there(post), 0.9), left, 1e-9);
  Matrix delta = there(post);
  const ChangeSums got = subtract(there(base), delta);
  EXPECT_NEAR(got.inner, expected.inner, 1e-9);
  EXPECT_NEAR(got.change, expected.change, 1e-9);
  EXPECT_NEAR(got.post, expected.post, 1e-9);
  EXPECT_EQ(got.unchanged, expected.unchanged);
  const Matrix difference = back(delta);
  for (int64_t i = 0; i < 83 * 29; ++i) ASSERT_EQ(difference.data()[i], post.data()[i] - base.data()[i]);
}

TEST_P(OnDevice, SumsAlongLines) {
  const Matrix base = gaussian(83, 29, 40), post = gaussian(83, 29, 41), weights = gaussian(83, 1, 42);
  for (const Line line : {Line::Row, Line::Column}) {
    const bool row = line == Line::Row;
    const int64_t lines = row ? 83 : 29, places = row ? 29 : 83;
    const std::vector<double> w(weights.data(), weights.data() + places);
    const LineSums sums = line_sums(there(base), there(post), 0.9, line, w);
    ASSERT_EQ(sums.weighted.size(), static_cast<size_t>(lines));
    for (int64_t l = 0; l < lines; ++l) {
      double residual = 0, square = 0, inner = 0, weighted = 0;
      for (int64_t k = 0; k < places; ++k) {
        const double b = row ? base(l, k) : base(k, l), e = (row ? post(l, k) : post(k, l)) - 0.9 * b;
        residual += e * e;
        square += b * b;
        inner += b * e;
        weighted += w[static_cast<size_t>(k)] * b * b;
      }
      const auto at = static_cast<size_t>(l);
      ASSERT_NEAR(sums.residual[at], residual, 1e-12 * residual);
      ASSERT_NEAR(sums.square[at], square, 1e-12 * square);
      ASSERT_NEAR(sums.product[at], inner, 1e-12 * (square + residual));
      ASSERT_NEAR(sums.weighted[at], weighted, 1e-12 * 4 * square);
    }
  }
}

TEST_P(OnDevice, SelectsLines) {
  const Matrix x = gaussian(40, 30, 43);
  for (const Line line : {Line::Row, Line::Column}) {
    const bool row = line == Line::Row;
    const std::vector<int64_t> lines = {0, 7, 7, 29};
    Matrix out(row ? 30 : 40, 4);
    select_lines(there(x), line, lines, out);
    const Matrix got = back(out);
    for (int64_t k = 0; k < 4; ++k) {
      const int64_t l = lines[static_cast<size_t>(k)];
      for (int64_t i = 0; i < got.rows(); ++i) ASSERT_EQ(got(i, k), row ? x(l, i) : x(i, l));
    }
  }
}

TEST_P(OnDevice, CountsExponents) {
  Matrix x = gaussian(83, 129, 44);
  x(0, 0) = 0;
  x(1, 0) = -0.0;
  x(2, 0) = 1e-310;
  x(3, 0) = std::nan("");
  x(4, 0) = -std::numeric_limits<double>::infinity();
  std::vector<int64_t> expected(kExponents);
  for (int64_t i = 0; i < 83 * 129; ++i) {
    const double value = x.data()[i];
    const bool ordinary = std::isfinite(value) && std::abs(value) >= std::numeric_limits<double>::min();
    ++expected[ordinary ? static_cast<size_t>(std::ilogb(value) + 1023) : std::isfinite(value) ? 0 : 2047];
  }
  EXPECT_EQ(exponent_counts(there(x)), expected);
}

TEST_P(OnDevice, MultipliesElements) {
  const Matrix x = gaussian(37, 41, 45), y = gaussian(37, 41, 46);
  Matrix product = there(y), square = there(x);
  multiply_elements(there(x), product);
  multiply_elements(square, square);
  const Matrix got = back(product), squared = back(square);
  for (int64_t i = 0; i < 37 * 41; ++i) {
    ASSERT_EQ(got.data()[i], x.data()[i] * y.data()[i]);
    ASSERT_EQ(squared.data()[i], x.data()[i] * x.data()[i]);
  }
}

TEST_P(OnDevice, WidensEveryType) {
  const Matrix values = gaussian(23, 31, 18);  // d_in x d_out
  for (const DType dtype : {DType::F64, DType::F32, DType::F16, DType::BF16}) {
    std::vector<std::byte> bytes(23 * 31 * dtype_size(dtype));
    narrow(dtype, values.data(), 23 * 31, bytes.data());
    const Weight weight{.name = "w", .dtype = dtype, .data = bytes.data(), .rows = 31, .cols = 23, .scale = {}};
    const Matrix expected = widened(weight);
    const ResidentWeight resident(weight);
    Matrix part(10, 12);
    widen(resident.weight(), 5, 17, 3, 13, part);
    const Matrix got = back(part);
    for (int64_t j = 0; j < 12; ++j) {
      for (int64_t i = 0; i < 10; ++i) ASSERT_EQ(got(i, j), expected(3 + i, 5 + j)) << dtype_name(dtype);
    }
  }
}

TEST_P(OnDevice, WidensEveryFp8PatternWithItsScale) {
  std::vector<std::byte> bytes(16 * 16);
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i);
  const std::vector<float> table = {0.5f, 3, 7, 0.125f, 11, 13};  // blocks of 6 x 8
  for (const DType dtype : {DType::F8_E4M3, DType::F8_E5M2}) {
    Weight weight{.name = "w", .dtype = dtype, .data = bytes.data(), .rows = 16, .cols = 16, .scale = {}};
    weight.scale = {reinterpret_cast<const std::byte*>(table.data()), DType::F32, 2, 6, 8};
    const Weight slice = slice_rows(weight, 5, 16);
    const Matrix expected = widened(slice);
    const ResidentWeight resident(slice);
    Matrix out(16, 11);
    widen(resident.weight(), 0, 11, 0, 16, out);
    const Matrix got = back(out);
    for (int64_t i = 0; i < 16 * 11; ++i) {
      if (std::isnan(expected.data()[i])) {
        ASSERT_TRUE(std::isnan(got.data()[i]));
      } else {
        ASSERT_EQ(got.data()[i], expected.data()[i]) << dtype_name(dtype) << " " << i;
      }
    }
  }
}

TEST_P(OnDevice, TheSameRandomNumbersByBlocks) {
  Matrix whole(300, 40, Space::Host);
  fill_normal(whole, 2, 19, 0, 0);
  Matrix all(300, 40), part(172, 7);
  fill_normal(all, 2, 19, 0, 0);
  EXPECT_LE(distance(back(all), whole), 1e-13);
  fill_normal(part, 2, 19, 128, 5);
  EXPECT_LE(distance(back(part), back(whole.view().block(128, 5, 172, 7))), 1e-13);
  EXPECT_NEAR(norm(whole) / std::sqrt(12000.0), 2, 0.1);

  // The factor's Gram matrix has the mean of the noise's: rows on the diagonal, zero beside it.
  Matrix factor(300, 300, Space::Host), r(300, 300);
  fill_bartlett(factor, 1, 20, 0, 1000);
  fill_bartlett(r, 1, 20, 0, 1000);
  EXPECT_LE(distance(back(r), factor), 1e-12);
  for (int64_t j = 0; j < 300; ++j) {
    double square = 0;
    for (int64_t i = 0; i < 300; ++i) {
      square += factor(i, j) * factor(i, j);
      ASSERT_TRUE(i <= j || factor(i, j) == 0);
    }
    EXPECT_NEAR(square, 1000, 6 * std::sqrt(2000.0));
  }
}

// The bounds of linalg_test.cc, p = n + 10: residual and orthogonality 3 p u, computed on the host.
void check_eigh(const Matrix& a, const char* what) {
  const int64_t n = a.rows();
  const double size = norm(a), bound = 3 * static_cast<double>(n + 10) * kUnitRoundoff;
  const Eigh e = eigh(there(lower_of(a)));
  EXPECT_TRUE(std::is_sorted(e.values.rbegin(), e.values.rend())) << what;
  const Matrix v = back(e.vectors);
  Matrix residual = product(Op::None, Op::None, a, v), scaled = v.clone();
  multiply_columns(scaled, e.values);
  add(-1, scaled, residual);
  EXPECT_LE(norm(residual), bound * size) << what << ", n = " << n;
  Matrix gram = product(Op::Transpose, Op::None, v, v);
  add_to_diagonal(gram, std::vector<double>(static_cast<size_t>(n), -1));
  EXPECT_LE(norm(gram), bound) << what << ", n = " << n;
  const std::vector<double> values = eigvalsh(there(lower_of(a)));
  ASSERT_EQ(values.size(), e.values.size());
  EXPECT_TRUE(std::is_sorted(values.rbegin(), values.rend())) << what;
  for (size_t j = 0; j < values.size(); ++j) EXPECT_NEAR(values[j], e.values[j], bound * size) << what;
}

/// Q diag(values) Qᵀ with a random Q.
Matrix symmetric_with_spectrum(const std::vector<double>& values, uint64_t seed) {
  const auto n = static_cast<int64_t>(values.size());
  const Matrix q = svd(gaussian(n, n, seed)).u;
  Matrix scaled = q.clone();
  multiply_columns(scaled, values);
  Matrix a = product(Op::None, Op::Transpose, scaled, q);
  for (int64_t j = 0; j < n; ++j) {
    for (int64_t i = 0; i < j; ++i) a(i, j) = a(j, i);
  }
  return a;
}

TEST_P(OnDevice, Eigenproblems) {
  for (const int64_t n : {1, 2, 3, 31, 64, 65, 130, 257, 512}) check_eigh(random_symmetric(n, 21), "random");
  for (const int64_t n : {40, 300}) {
    std::vector<double> graded, twins, deficient;
    for (int64_t j = 0; j < n; ++j) {
      graded.push_back(std::pow(10.0, -12.0 * static_cast<double>(j) / static_cast<double>(n)));
      twins.push_back(1 + static_cast<double>(j / 2));
      deficient.push_back(j < n / 3 ? 1 + static_cast<double>(j) : 0);
    }
    check_eigh(symmetric_with_spectrum(graded, 22), "graded");
    check_eigh(symmetric_with_spectrum(twins, 23), "twins");
    check_eigh(symmetric_with_spectrum(deficient, 24), "rank-deficient");
    check_eigh(Matrix::zeros(n, n, Space::Host), "zero");
    Matrix identity = Matrix::zeros(n, n, Space::Host);
    add_to_diagonal(identity, std::vector<double>(static_cast<size_t>(n), 1));
    check_eigh(identity, "identity");
  }
  const Matrix tall = gaussian(700, 300, 25);
  check_eigh(product(Op::Transpose, Op::None, tall, tall), "Gram");
}

// Sizes around which a GPU goes another way: from where on its own reduction is taken, panels that end in few rows,
// more rows than clusters of one to eight blocks have threads, and more than those of sixteen have with 256 each.
TEST_P(OnDevice, EigenproblemsOfOddSizes) {
  for (const int64_t n : {193, 224, 225, 226, 288, 290, 545, 700}) check_eigh(random_symmetric(n, 30), "random");
  if (GetParam() < 0) return;
  for (const int64_t n : {1057, 2081, 4129}) check_eigh(random_symmetric(n, 30), "random");
}

TEST_P(OnDevice, EigenproblemsOfAnyScale) {
  for (const double scale : {1e-140, 1e140}) {
    Matrix a = random_symmetric(200, 34);
    multiply_columns(a, std::vector<double>(200, scale));
    check_eigh(a, "scaled");
  }
}

// A matrix that is in the form that it is to be brought to leaves nothing to reflect.
TEST_P(OnDevice, EigenproblemsOfBandedMatrices) {
  for (const int64_t width : {0, 1, 5, 32, 33, 64}) {
    for (const double beside : {0.0, 1e-158}) {  // so small that its square loses digits
      Matrix a = random_symmetric(300, 31);
      for (int64_t j = 0; j < 300; ++j) {
        for (int64_t i = 0; i < 300; ++i) {
          if (std::abs(i - j) > width) a(i, j) *= beside;
        }
      }
      check_eigh(a, "banded");
    }
  }
  Matrix blocks = random_symmetric(320, 32);
  for (int64_t j = 0; j < 320; ++j) {
    for (int64_t i = 0; i < 320; ++i) {
      if (i / 40 != j / 40) blocks(i, j) = 0;
    }
  }
  check_eigh(blocks, "block-diagonal");
}

bool same_bits(const Eigh& a, const Eigh& b) {
  const Matrix x = back(a.vectors), y = back(b.vectors);
  return a.values == b.values && x.rows() == y.rows() && x.cols() == y.cols() &&
         std::memcmp(x.data(), y.data(), sizeof(double) * static_cast<size_t>(x.rows() * x.cols())) == 0;
}

// Blocks of threads hand each other numbers while they work: a race would show as other bits now and then.
TEST_P(OnDevice, EigenproblemsGiveTheSameBitsAgain) {
  const Matrix a = random_symmetric(600, 33);
  const Eigh first = eigh(there(lower_of(a)));
  const std::vector<double> values = eigvalsh(there(lower_of(a)));
  for (int round = 0; round < 5; ++round) {
    EXPECT_TRUE(same_bits(eigh(there(lower_of(a))), first));
    EXPECT_EQ(eigvalsh(there(lower_of(a))), values);
  }
}

// Side by side, as a run has them: kernels that wait for each other then find only part of a GPU free.
TEST_P(OnDevice, EigenproblemsSideBySideGiveTheSameBits) {
  const Matrix a = random_symmetric(500, 35);
  Eigh alone = eigh(there(lower_of(a)));
  alone.vectors = back(alone.vectors);  // where every thread can read them
  const int rounds = GetParam() >= 0 ? 5 : 1;
  std::vector<std::jthread> threads;
  for (int thread = 0; thread < 8; ++thread) {
    threads.emplace_back([&] {
      std::unique_ptr<device::Scope> scope;
      if (GetParam() >= 0) scope = std::make_unique<device::Scope>(GetParam());
      for (int round = 0; round < rounds; ++round) EXPECT_TRUE(same_bits(eigh(there(lower_of(a))), alone));
    });
  }
}

TEST_P(OnDevice, CountsEigenvalues) {
  for (const int64_t n : {1, 2, 5, 64, 65, 130, 300}) {
    std::vector<double> values;
    for (int64_t j = 0; j < n; ++j) values.push_back(static_cast<double>(j % 7) - 3);  // many alike
    const Matrix a = symmetric_with_spectrum(values, 47);
    for (const double bound : {-4.0, -2.5, -0.5, 0.5, 2.5, 4.0}) {
      const auto above = std::count_if(values.begin(), values.end(), [&](double value) { return value > bound; });
      EXPECT_EQ(eigenvalues_above(there(lower_of(a)), bound), above) << n << " " << bound;
    }
  }
  EXPECT_EQ(eigenvalues_above(Matrix::zeros(9, 9), 0), 0);
}

TEST_P(OnDevice, LargestEigenvalue) {
  for (const int64_t n : {1, 7, 150, 2049}) {
    const Matrix a = gaussian(n / 2 + 40, n, 26), gram = product(Op::Transpose, Op::None, a, a);
    const double exact = eigvalsh(product(Op::None, Op::Transpose, a, a)).front();
    EXPECT_NEAR(largest_eigenvalue(there(lower_of(gram)), 1e-10), exact, 1e-10 * exact);
  }
}

// U diag(values) Vᵀ = A and orthonormal U and V, within 3 p u for p = √((m + 10) (n + 10)); returns that.
double check_svd(const Matrix& a, const Svd& s) {
  const int64_t n = a.cols();
  const double bound = 3 * std::sqrt(static_cast<double>((a.rows() + 10) * (n + 10))) * kUnitRoundoff;
  Matrix scaled = back(s.u);
  multiply_columns(scaled, s.values);
  EXPECT_LE(distance(product(Op::None, Op::Transpose, scaled, back(s.v)), a), bound * norm(a));
  for (const Matrix* q : {&s.u, &s.v}) {
    Matrix gram = product(Op::Transpose, Op::None, back(*q), back(*q));
    add_to_diagonal(gram, std::vector<double>(static_cast<size_t>(n), -1));
    EXPECT_LE(largest(gram), bound);
  }
  return bound;
}

TEST_P(OnDevice, SingularValues) {
  for (const auto& [m, n] : {std::pair<int64_t, int64_t>{1, 1}, {50, 50}, {300, 129}}) {
    const Matrix a = gaussian(m, n, 27);
    const Svd s = svd(there(a));
    EXPECT_TRUE(std::is_sorted(s.values.rbegin(), s.values.rend()));
    check_svd(a, s);
  }
}

// Small singular values, resolved by the Gram matrix and not, and close ones: σ from 1 to 10^-digits, each `alike`
// times.
TEST_P(OnDevice, SingularValuesOfEverySize) {
  for (const double digits : {3.0, 6.5, 7.5, 9.0, 14.0}) {
    const std::vector<double> apart = geometric_spectrum(230, std::pow(10, digits));
    for (const size_t alike : {1, 10}) {
      std::vector<double> sigma;
      for (size_t j = 0; j < apart.size(); ++j) sigma.push_back(apart[j / alike * alike]);
      const Matrix a = with_spectrum(260, 230, sigma, 36);
      const Svd s = svd(there(a));
      const double bound = check_svd(a, s);
      for (size_t j = 0; j < sigma.size(); ++j) EXPECT_NEAR(s.values[j], sigma[j], bound * norm(a));
    }
  }
}

// Singular matrices: whatever a device's first choice says of them, values and products hold, vectors are orthonormal.
TEST_P(OnDevice, SingularValuesOfSingularMatrices) {
  const Matrix thin = gaussian(90, 20, 28), wide = gaussian(20, 70, 29);
  const Matrix deficient = product(Op::None, Op::None, thin, wide);
  const Matrix zero = Matrix::zeros(90, 70, Space::Host);
  for (const auto& [a, rank] : {std::pair<const Matrix*, size_t>{&deficient, 20}, {&zero, 0}}) {
    const Svd s = svd(there(*a));
    const double bound = check_svd(*a, s);
    for (size_t j = rank; j < s.values.size(); ++j) EXPECT_LE(s.values[j], bound * norm(*a));
  }
}

std::string device_name(const testing::TestParamInfo<int>& device) {
  return device.param < 0 ? std::string("cpu") : "cuda" + std::to_string(device.param);
}
INSTANTIATE_TEST_SUITE_P(Every, OnDevice, testing::Values(-1, 0, 1), device_name);

}  // namespace
}  // namespace gyro::linalg
