#include "gyro/tensor/dtype.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

namespace gyro {
namespace {

/// A binary format by its definition: 1 sign bit, then exponent, then fraction.
struct Format {
  DType dtype;
  int exponent_bits;
  int fraction_bits;
  bool has_infinity;  ///< IEEE 754's use of the top exponent; OCP FP8 E4M3 has none, and NaN is all ones only
};

/// The value that IEEE 754-2008 §3.4 (OCP OFP8 §5.1 for E4M3) gives a bit pattern, by sums of powers of two.
double decode(const Format& f, uint64_t bits) {
  const uint64_t exponent_ones = (uint64_t{1} << f.exponent_bits) - 1;
  const uint64_t fraction_ones = (uint64_t{1} << f.fraction_bits) - 1;
  const uint64_t exponent = bits >> f.fraction_bits & exponent_ones;
  const uint64_t fraction = bits & fraction_ones;
  const double sign = bits >> (f.exponent_bits + f.fraction_bits) == 0 ? 1 : -1;
  if (exponent == exponent_ones && f.has_infinity) {
    return fraction == 0 ? sign * std::numeric_limits<double>::infinity() : std::nan("");
  }
  if (exponent == exponent_ones && fraction == fraction_ones) return std::nan("");
  const int bias = static_cast<int>(exponent_ones / 2);
  double significand = exponent == 0 ? 0 : 1;
  for (int bit = 1; bit <= f.fraction_bits; ++bit) {
    if ((fraction >> (f.fraction_bits - bit) & 1) != 0) significand += std::pow(2.0, -bit);
  }
  const int power = exponent == 0 ? 1 - bias : static_cast<int>(exponent) - bias;
  return sign * significand * std::pow(2.0, power);
}

/// Equal including the sign of zero; NaN equals NaN.
bool same(double a, double b) {
  return std::isnan(a) ? std::isnan(b) : std::bit_cast<uint64_t>(a) == std::bit_cast<uint64_t>(b);
}

template <typename T>
std::vector<double> widen_all(DType dtype, const std::vector<T>& patterns, size_t shift = 0) {
  std::vector<std::byte> bytes(patterns.size() * sizeof(T) + shift);
  std::memcpy(bytes.data() + shift, patterns.data(), patterns.size() * sizeof(T));
  std::vector<double> out(patterns.size());
  widen(dtype, bytes.data() + shift, patterns.size(), out.data());
  return out;
}

template <typename T>
void expect_every_pattern(const Format& f) {
  std::vector<T> patterns(size_t{1} << (8 * sizeof(T)));
  for (size_t i = 0; i < patterns.size(); ++i) patterns[i] = static_cast<T>(i);
  const std::vector<double> values = widen_all(f.dtype, patterns);
  for (size_t i = 0; i < patterns.size(); ++i) {
    ASSERT_TRUE(same(values[i], decode(f, i)))
        << dtype_name(f.dtype) << " pattern " << i << " gives " << values[i] << ", not " << decode(f, i);
  }
}

TEST(Widen, EveryF16Pattern) {
  expect_every_pattern<uint16_t>({DType::F16, 5, 10, true});
}
TEST(Widen, EveryBF16Pattern) {
  expect_every_pattern<uint16_t>({DType::BF16, 8, 7, true});
}
TEST(Widen, EveryF8E4M3Pattern) {
  expect_every_pattern<uint8_t>({DType::F8_E4M3, 4, 3, false});
}
TEST(Widen, EveryF8E5M2Pattern) {
  expect_every_pattern<uint8_t>({DType::F8_E5M2, 5, 2, true});
}

// The extremes that the OCP OFP8 specification prints in its table 1.
TEST(Widen, OcpTable) {
  EXPECT_EQ(widen_all<uint8_t>(DType::F8_E4M3, {0x7e, 0x08, 0x01, 0x80}),
            (std::vector<double>{448, 0x1p-6, 0x1p-9, 0.0}));
  EXPECT_EQ(widen_all<uint8_t>(DType::F8_E5M2, {0x7b, 0x04, 0x01}), (std::vector<double>{57344, 0x1p-14, 0x1p-16}));
}

TEST(Widen, F32OfEveryExponent) {
  std::vector<uint32_t> patterns;
  for (uint32_t high = 0; high < 512; ++high) {  // sign and exponent
    for (const uint32_t fraction : {0u, 1u, 0x2aaaaau, 0x400000u, 0x7fffffu}) patterns.push_back(high << 23 | fraction);
  }
  const std::vector<double> values = widen_all(DType::F32, patterns);
  for (size_t i = 0; i < patterns.size(); ++i) {
    EXPECT_TRUE(same(values[i], decode({DType::F32, 8, 23, true}, patterns[i]))) << std::hex << patterns[i];
  }
}

TEST(Widen, F64IsCopied) {
  const std::vector<double> values = {1.0 / 3, -0.0, 5e-324, std::numeric_limits<double>::max(), -INFINITY};
  const std::vector<double> out = widen_all(DType::F64, values);
  for (size_t i = 0; i < values.size(); ++i) EXPECT_TRUE(same(out[i], values[i]));
}

// Counts that leave vector loops a remainder, and every misalignment a safetensors offset can have.
TEST(Widen, AnyCountAndAlignment) {
  for (const DType dtype : {DType::F64, DType::F32, DType::F16, DType::BF16, DType::F8_E4M3, DType::F8_E5M2}) {
    for (size_t count = 0; count <= 40; ++count) {
      for (const size_t shift : {0, 1, 2, 3, 5, 7}) {
        std::vector<uint8_t> bytes(count * dtype_size(dtype));
        for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(37 * i % 113);
        std::vector<std::byte> stored(bytes.size() + shift + 1);  // never null
        if (count > 0) std::memcpy(stored.data() + shift, bytes.data(), bytes.size());
        std::vector<double> out(count + 1, -7), one(1);
        widen(dtype, stored.data() + shift, count, out.data());
        EXPECT_EQ(out[count], -7) << "wrote beyond the end";
        for (size_t i = 0; i < count; ++i) {
          widen(dtype, stored.data() + shift + i * dtype_size(dtype), 1, one.data());
          EXPECT_TRUE(same(one[0], out[i])) << dtype_name(dtype) << " count " << count << " shift " << shift;
        }
      }
    }
  }
}

TEST(DType, NamesGoBothWays) {
  const std::vector<std::pair<DType, const char*>> names = {
      {DType::F64, "F64"}, {DType::F32, "F32"},         {DType::F16, "F16"},         {DType::BF16, "BF16"},
      {DType::I64, "I64"}, {DType::F8_E4M3, "F8_E4M3"}, {DType::F8_E5M2, "F8_E5M2"}, {DType::I32, "I32"},
      {DType::I16, "I16"}, {DType::I8, "I8"},           {DType::U64, "U64"},         {DType::U32, "U32"},
      {DType::U16, "U16"}, {DType::U8, "U8"},           {DType::BOOL, "BOOL"}};
  for (const auto& [dtype, name] : names) {
    EXPECT_EQ(dtype_name(dtype), name);
    EXPECT_EQ(dtype_from_name(name), dtype);
  }
  for (const char* name : {"", "F", "f32", "BF16 ", "F8", "I4"}) EXPECT_FALSE(dtype_from_name(name)) << name;
}

TEST(DType, SizesAndMantissas) {
  struct Expected {
    DType dtype;
    size_t size;
    int mantissa;
  };
  for (const auto& [dtype, size, mantissa] : std::vector<Expected>{{DType::F64, 8, 52},
                                                                   {DType::F32, 4, 23},
                                                                   {DType::F16, 2, 10},
                                                                   {DType::BF16, 2, 7},
                                                                   {DType::F8_E4M3, 1, 3},
                                                                   {DType::F8_E5M2, 1, 2}}) {
    EXPECT_EQ(dtype_size(dtype), size);
    EXPECT_EQ(dtype_mantissa_bits(dtype), mantissa);
    EXPECT_TRUE(dtype_is_float(dtype));
  }
  const std::vector<std::pair<DType, size_t>> others = {{DType::I64, 8}, {DType::I32, 4}, {DType::I16, 2},
                                                        {DType::I8, 1},  {DType::U64, 8}, {DType::U32, 4},
                                                        {DType::U16, 2}, {DType::U8, 1},  {DType::BOOL, 1}};
  for (const auto& [dtype, size] : others) {
    EXPECT_EQ(dtype_size(dtype), size);
    EXPECT_FALSE(dtype_is_float(dtype));
  }
}

}  // namespace
}  // namespace gyro
