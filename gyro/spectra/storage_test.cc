// What storing rounds away, and what it leaves of a small change, against rounding itself.

#include "gyro/spectra/storage.h"

#include <gtest/gtest.h>

#include <cmath>

#include "gyro/linalg/linalg.h"
#include "gyro/spectra/test_util.h"
#include "gyro/tensor/narrow.h"

namespace gyro {
namespace {

constexpr DType kTypes[] = {DType::F32, DType::F16, DType::BF16};

Matrix stored(const Matrix& values, DType dtype) {
  const auto count = static_cast<size_t>(values.rows() * values.cols());
  std::vector<std::byte> bytes(count * dtype_size(dtype));
  narrow(dtype, values.data(), count, bytes.data());
  Matrix out(values.rows(), values.cols());
  widen(dtype, bytes.data(), count, out.data());
  return out;
}

Weight as_if(const Matrix& values, DType dtype) {
  Weight weight = weight_of(values);
  weight.dtype = dtype;
  return weight;
}

PlaceBins places_of(const Matrix& base, DType dtype) {
  const StoredPlaces places(as_if(base, dtype));
  return place_bins(places, linalg::exponent_counts(base), linalg::exponent_counts(base, places.grid()));
}

int64_t same_bits(const Matrix& a, const Matrix& b) {
  int64_t same = 0;
  for (int64_t i = 0; i < a.rows() * a.cols(); ++i) same += a.data()[i] == b.data()[i] ? 1 : 0;
  return same;
}

TEST(RoundingNorm, IsWhatRoundingTakes) {
  for (const DType dtype : kTypes) {
    for (const double size : {1.0, 2e-5}) {  // the smaller one is among F16's subnormal numbers
      const Matrix exact = combined(size, gaussian(200, 300, 1), 0, gaussian(200, 300, 1)),
                   rounded = stored(exact, dtype);
      const double norm =
          std::sqrt(rounding_square(StoredPlaces(as_if(rounded, dtype)), linalg::exponent_counts(rounded)));
      EXPECT_NEAR(norm, frobenius(combined(1, exact, -1, rounded)), 0.02 * norm) << dtype_name(dtype) << size;
    }
  }
}

TEST(ExpectedUnchanged, IsWhatADenseChangeLeaves) {
  for (const DType dtype : kTypes) {
    const Matrix base = stored(combined(0.05, gaussian(300, 400, 2), 0, gaussian(300, 400, 2)), dtype);
    const double place = 0.05 * std::ldexp(1.0, -dtype_mantissa_bits(dtype));
    for (const double size : {0.1, 0.2, 0.5, 2.0, 20.0}) {
      const Matrix post = stored(combined(1, base, size * place, gaussian(300, 400, 3)), dtype);
      const double expected = expected_unchanged(places_of(base, dtype), frobenius(combined(1, post, -1, base)));
      // A binomial deviation is 0.0014 at most; at powers of two the lower half of a place is half as wide.
      EXPECT_NEAR(expected, static_cast<double>(same_bits(base, post)) / (300 * 400), 0.012)
          << dtype_name(dtype) << " " << size;
    }
  }
  EXPECT_TRUE(std::isnan(expected_unchanged(places_of(gaussian(2, 2, 4), DType::BF16), 0)));
}

// Of a base that the post's dtype cannot store a part is left: what it happens to be able to.
TEST(ExpectedUnchanged, OfABaseOfFinerPlaces) {
  const Matrix exact = combined(0.05, gaussian(300, 400, 2), 0, gaussian(300, 400, 2));
  for (const DType finer : {DType::F64, DType::F16}) {
    const Matrix base = stored(exact, finer);
    for (const double size : {0.0, 0.02, 0.2, 2.0, 20.0}) {
      const Matrix post =
          stored(combined(1, base, size * 0.05 * std::ldexp(1.0, -7), gaussian(300, 400, 3)), DType::BF16);
      const double expected = expected_unchanged(places_of(base, DType::BF16), frobenius(combined(1, post, -1, base)));
      EXPECT_NEAR(expected, static_cast<double>(same_bits(base, post)) / (300 * 400), 0.02)
          << dtype_name(finer) << " " << size;
    }
  }
}

// One zero has the smallest places of all, and is one weight.
TEST(ExpectedUnchanged, OfABaseWithAZero) {
  Matrix base = gaussian(30, 40, 2);
  base(0, 0) = 0;
  EXPECT_LT(expected_unchanged(places_of(base, DType::F64), 0.1), 1e-12);
  EXPECT_LT(expected_unchanged(places_of(base, DType::F32), 0.1), 1e-3);
}

// Blocks of FP8, each with its scale, against brute force.
TEST(ExpectedUnchanged, OfScaledValues) {
  const ScaledFp8 base(combined(0.05, gaussian(256, 128, 2), 0, gaussian(256, 128, 2)), 48);
  const Matrix values = base.values();
  for (const double size : {0.0005, 0.002, 0.01}) {
    ScaledFp8 post(values, 48);  // whose scales are base's
    post.store(combined(1, values, size, gaussian(256, 128, 3)));
    const PairMeasure measure = BaseMatrix(base.weight()).compare(post.weight(), {});
    EXPECT_DOUBLE_EQ(measure.unchanged, static_cast<double>(same_bits(values, post.values())) / (256 * 128));
    EXPECT_NEAR(measure.sparse_expected, measure.unchanged, 0.02) << size;
  }
}

// A change that is all in few weights is sparser than that.
TEST(ExpectedUnchanged, IsLessThanASparseChangeLeaves) {
  const Matrix base = stored(gaussian(100, 100, 5), DType::BF16);
  Matrix post = base.clone();
  for (int64_t i = 0; i < 1000; ++i) post.data()[i] *= 1.5;
  const double expected = expected_unchanged(places_of(base, DType::BF16), frobenius(combined(1, post, -1, base)));
  EXPECT_LT(expected, 0.1);
}

}  // namespace
}  // namespace gyro
