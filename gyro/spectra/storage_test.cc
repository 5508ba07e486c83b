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

TEST(RoundingNorm, IsWhatRoundingTakes) {
  for (const DType dtype : kTypes) {
    for (const double size : {1.0, 2e-5}) {  // the smaller one is among F16's subnormal numbers
      const Matrix exact = combined(size, gaussian(200, 300, 1), 0, gaussian(200, 300, 1)),
                   rounded = stored(exact, dtype);
      const double norm = rounding_norm(StoredPlaces(as_if(rounded, dtype)), linalg::exponent_counts(rounded));
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
      int64_t same = 0;
      for (int64_t i = 0; i < 300 * 400; ++i) same += base.data()[i] == post.data()[i] ? 1 : 0;
      const double expected = expected_unchanged(StoredPlaces(as_if(base, dtype)), linalg::exponent_counts(base),
                                                 frobenius(combined(1, post, -1, base)));
      // A binomial deviation is 0.0014 at most; at powers of two the lower half of a place is half as wide.
      EXPECT_NEAR(expected, static_cast<double>(same) / (300 * 400), 0.012) << dtype_name(dtype) << " " << size;
    }
  }
  EXPECT_TRUE(std::isnan(expected_unchanged(StoredPlaces(as_if(gaussian(2, 2, 4), DType::BF16)),
                                            linalg::exponent_counts(gaussian(2, 2, 4)), 0)));
}

// A change that is all in few weights is sparser than that.
TEST(ExpectedUnchanged, IsLessThanASparseChangeLeaves) {
  const Matrix base = stored(gaussian(100, 100, 5), DType::BF16);
  Matrix post = base.clone();
  for (int64_t i = 0; i < 1000; ++i) post.data()[i] *= 1.5;
  const double expected = expected_unchanged(StoredPlaces(as_if(base, DType::BF16)), linalg::exponent_counts(base),
                                             frobenius(combined(1, post, -1, base)));
  EXPECT_LT(expected, 0.1);
}

}  // namespace
}  // namespace gyro
