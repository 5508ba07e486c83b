// Passes over weights on every device, against loops.

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "gyro/linalg/linalg.h"
#include "gyro/linalg/on_device_test_util.h"
#include "gyro/linalg/test_util.h"
#include "gyro/tensor/narrow.h"

namespace gyro::linalg {
namespace {

Matrix widened(const Weight& weight) {
  Matrix all(weight.cols, weight.rows, Space::Host);
  gyro::widen(weight, 0, weight.rows, 0, weight.cols, all.data(), weight.cols);
  return all;
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
  // Of BF16 and of F16, whose least values are coarser than its exponents say.
  for (const Grid grid : {Grid{7, -126}, Grid{10, -14}}) {
    Matrix rounded = x.clone();
    for (int64_t i = 5; i < 83 * 129; i += 2) {
      double& value = rounded.data()[i];
      if (i % 3 == 0) value *= 1e-6;
      const double place = std::ldexp(1.0, std::max(std::ilogb(value), grid.least_exponent) - grid.mantissa_bits);
      value = std::nearbyint(value / place) * place;
    }
    std::vector<int64_t> stored(kExponents);
    for (int64_t i = 0; i < 83 * 129; ++i) {
      const double value = rounded.data()[i];
      const int exponent = value == 0 ? 0 : std::ilogb(value);
      const double place = std::ldexp(1.0, std::max(exponent, grid.least_exponent) - grid.mantissa_bits);
      const bool ordinary = std::isfinite(value) && std::abs(value) >= std::numeric_limits<double>::min();
      if (ordinary && std::fmod(value, place) == 0) ++stored[static_cast<size_t>(exponent + 1023)];
      if (value == 0) ++stored[0];
    }
    std::vector<int64_t> counted = exponent_counts(there(rounded), grid);
    counted[2047] = 0;  // of what is no number nothing is promised
    EXPECT_EQ(counted, stored);
  }
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

INSTANTIATE_TEST_SUITE_P(Every, OnDevice, testing::Values(-1, 0, 1), device_name);

}  // namespace
}  // namespace gyro::linalg
