// Rounding of FP64 to stored types, against integer arithmetic on the bits of the number.

#include "gyro/tensor/narrow.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

namespace gyro {
namespace {

struct Format {
  DType dtype;
  int exponent_bits, mantissa_bits;
};
constexpr Format kBf16{DType::BF16, 8, 7}, kF16{DType::F16, 5, 10}, kF32{DType::F32, 8, 23};

/// `value` in a binary format, rounded once to nearest, ties to even: on integers only.
uint32_t reference_bits(const Format& format, double value) {
  const auto bits = std::bit_cast<uint64_t>(value);
  const uint32_t sign = static_cast<uint32_t>(bits >> 63) << (format.exponent_bits + format.mantissa_bits);
  const uint32_t infinity = ((1u << format.exponent_bits) - 1) << format.mantissa_bits;
  const int stored = static_cast<int>(bits >> 52 & 0x7ff);
  if (stored == 0x7ff) return sign | infinity;  // NaN is not asked for
  const int least = 2 - (1 << (format.exponent_bits - 1));
  const uint64_t significand = (bits & ((uint64_t{1} << 52) - 1)) | (stored > 0 ? uint64_t{1} << 52 : 0);
  const int exponent = std::max(stored, 1) - 1023;  // of bit 52
  const int cut = 52 - format.mantissa_bits + std::max(0, least - exponent);
  if (cut > 54) return sign;  // under half of the least subnormal
  const uint64_t kept = significand >> cut, lost = significand & ((uint64_t{1} << cut) - 1);
  const uint64_t half = uint64_t{1} << (cut - 1);
  const uint64_t rounded = kept + (lost > half || (lost == half && (kept & 1) != 0) ? 1 : 0);
  // A carry out of the mantissa goes into the exponent, as it should.
  const uint64_t steps = static_cast<uint64_t>(std::max(exponent, least) - least) << format.mantissa_bits;
  return sign | static_cast<uint32_t>(std::min<uint64_t>(steps + rounded, infinity));
}

uint32_t narrowed(const Format& format, double value) {
  std::byte stored[4] = {};
  narrow(format.dtype, &value, 1, stored);
  uint32_t bits = 0;
  std::memcpy(&bits, stored, dtype_size(format.dtype));
  return bits;
}

double widened(const Format& format, uint32_t bits) {
  std::byte stored[4];
  std::memcpy(stored, &bits, 4);
  double value = 0;
  widen(format.dtype, stored, 1, &value);
  return value;
}

void expect_rounded(const Format& format, double value) {
  for (const double signed_value : {value, -value}) {
    ASSERT_EQ(narrowed(format, signed_value), reference_bits(format, signed_value))
        << dtype_name(format.dtype) << " of " << std::hexfloat << signed_value;
  }
}

TEST(Narrow, EveryPatternComesBack) {
  for (const Format& format : {kBf16, kF16}) {
    for (uint32_t bits = 0; bits < 0x10000; ++bits) {
      const double value = widened(format, bits);
      if (std::isnan(value)) {
        ASSERT_TRUE(std::isnan(widened(format, narrowed(format, value)))) << bits;
      } else {
        ASSERT_EQ(narrowed(format, value), bits) << dtype_name(format.dtype);
      }
    }
  }
}

TEST(Narrow, TiesAndTheirNeighbours) {
  for (const Format& format : {kBf16, kF16}) {
    const uint32_t largest = (((1u << format.exponent_bits) - 1) << format.mantissa_bits) - 1;
    for (uint32_t bits = 0; bits < largest; ++bits) {
      const double middle = (widened(format, bits) + widened(format, bits + 1)) / 2;  // exact
      expect_rounded(format, middle);
      expect_rounded(format, std::nextafter(middle, 0));
      expect_rounded(format, std::nextafter(middle, 1e300));
      // A bit that a detour over FP32 would lose before it decides the tie.
      ASSERT_EQ(narrowed(format, std::nextafter(middle, 1e300)), bits + 1);
      ASSERT_EQ(narrowed(format, std::nextafter(middle, 0)), bits);
      ASSERT_EQ(narrowed(format, middle), bits + (bits & 1));
    }
  }
}

TEST(Narrow, AnyBits) {
  uint64_t state = 1;
  for (int i = 0; i < 200000; ++i) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    const uint64_t mixed = state ^ state >> 29;
    const double any = std::bit_cast<double>(mixed & ~(uint64_t{1} << 63));
    if (std::isnan(any)) continue;
    // The same mantissa at an exponent that all three formats can nearly hold.
    const int exponent = static_cast<int>(mixed >> 55 & 63) - 40;
    const double near = std::ldexp(1 + static_cast<double>(mixed >> 12) * 0x1p-52, exponent);
    for (const Format& format : {kBf16, kF16, kF32}) {
      expect_rounded(format, any);
      expect_rounded(format, near);
    }
  }
}

TEST(Narrow, Subnormals) {
  EXPECT_EQ(narrowed(kF16, 0x1p-24), 1u);
  EXPECT_EQ(narrowed(kF16, 0x1p-25), 0u);  // a tie, to even
  EXPECT_EQ(narrowed(kF16, std::nextafter(0x1p-25, 1)), 1u);
  EXPECT_EQ(narrowed(kF16, 0x1.8p-24), 2u);
  EXPECT_EQ(narrowed(kF16, std::nextafter(0x1p-14, 0)), 0x400u);  // rounds up to the least normal number
  EXPECT_EQ(narrowed(kBf16, 0x1p-133), 1u);
  EXPECT_EQ(narrowed(kBf16, -0x1p-134), 0x8000u);
  EXPECT_EQ(narrowed(kBf16, std::nextafter(0x1p-126, 0)), 0x80u);
  EXPECT_EQ(narrowed(kBf16, std::numeric_limits<double>::denorm_min()), 0u);
  EXPECT_EQ(narrowed(kF32, 0x1p-149), 1u);
  EXPECT_EQ(narrowed(kF32, 0x1p-150), 0u);
}

TEST(Narrow, Overflow) {
  const double infinity = std::numeric_limits<double>::infinity();
  EXPECT_EQ(narrowed(kF16, 65504), 0x7bffu);
  EXPECT_EQ(narrowed(kF16, std::nextafter(65520, 0)), 0x7bffu);
  EXPECT_EQ(narrowed(kF16, 65520), 0x7c00u);
  EXPECT_EQ(narrowed(kF16, -1e300), 0xfc00u);
  const double largest = 0x1.fep127, edge = 0x1.ffp127;
  EXPECT_EQ(narrowed(kBf16, largest), 0x7f7fu);
  EXPECT_EQ(narrowed(kBf16, std::nextafter(edge, 0)), 0x7f7fu);
  EXPECT_EQ(narrowed(kBf16, edge), 0x7f80u);
  EXPECT_EQ(narrowed(kBf16, 1e300), 0x7f80u);
  for (const Format& format : {kBf16, kF16, kF32}) {
    expect_rounded(format, infinity);
    expect_rounded(format, std::numeric_limits<double>::max());
    expect_rounded(format, 0.0);
    EXPECT_TRUE(std::isnan(widened(format, narrowed(format, std::nan("")))));
  }
}

TEST(Narrow, WideTypesAreCopies) {
  const std::vector<double> values = {1.0 / 3, -0.0, 5e-324, 1e308};
  std::vector<double> back(values.size());
  narrow(DType::F64, values.data(), values.size(), reinterpret_cast<std::byte*>(back.data()));
  EXPECT_EQ(std::memcmp(back.data(), values.data(), 8 * values.size()), 0);
}

TEST(Narrow, UnalignedOutput) {
  const std::vector<double> values = {1, -2, 0.5};
  std::vector<std::byte> out(1 + 2 * values.size() + 1, std::byte{0x55});
  narrow(DType::BF16, values.data(), values.size(), out.data() + 1);
  const std::vector<int> expected = {0x55, 0x80, 0x3f, 0x00, 0xc0, 0x00, 0x3f, 0x55};
  for (size_t i = 0; i < out.size(); ++i) EXPECT_EQ(static_cast<int>(out[i]), expected[i]) << i;
}

TEST(Narrow, Writable) {
  for (const DType dtype : {DType::F64, DType::F32, DType::F16, DType::BF16}) EXPECT_TRUE(dtype_is_writable(dtype));
  for (const DType dtype : {DType::F8_E4M3, DType::F8_E5M2, DType::I32, DType::BOOL})
    EXPECT_FALSE(dtype_is_writable(dtype));
}

}  // namespace
}  // namespace gyro
