#include "gyro/tensor/narrow.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>

namespace gyro {
namespace {

// `value` rounded to a binary format of `mantissa_bits` explicit bits whose least normal exponent is `least`: the
// result is exact in FP32. (Going through FP32 would round twice.)
double round_to(double value, int mantissa_bits, int least) {
  if (value == 0 || !std::isfinite(value)) return value;
  const auto bits = std::bit_cast<uint64_t>(value);
  if (static_cast<int>(bits >> 52 & 0x7ff) - 1023 >= least) {  // normal: add half a unit, ties to even, and cut
    const int cut = 52 - mantissa_bits;
    const uint64_t rounded = bits + (bits >> cut & 1) + ((uint64_t{1} << (cut - 1)) - 1);
    return std::bit_cast<double>(rounded >> cut << cut);
  }
  int exponent = 0;
  std::frexp(value, &exponent);
  const double quantum = std::ldexp(1.0, std::max(exponent - 1, least) - mantissa_bits);
  return std::nearbyint(value / quantum) * quantum;
}

uint16_t to_bf16(double value) {
  return static_cast<uint16_t>(std::bit_cast<uint32_t>(static_cast<float>(round_to(value, 7, -126))) >> 16);
}

uint16_t to_f16(double value) {
  const double rounded = round_to(value, 10, -14);
  const auto sign = static_cast<uint16_t>(std::signbit(rounded) ? 0x8000 : 0);
  const double magnitude = std::abs(rounded);
  if (std::isnan(magnitude)) return static_cast<uint16_t>(sign | 0x7e00);
  if (magnitude >= 65520) return static_cast<uint16_t>(sign | 0x7c00);
  if (magnitude < 0x1p-14) return static_cast<uint16_t>(sign | static_cast<int>(magnitude * 0x1p24));  // subnormal
  const int exponent = std::ilogb(magnitude);
  const auto mantissa = static_cast<int>(std::ldexp(magnitude, 10 - exponent)) - 1024;
  return static_cast<uint16_t>(sign | (exponent + 15) << 10 | mantissa);
}

template <typename T, typename F>
void convert_all(const double* values, size_t count, std::byte* out, F convert) {
  for (size_t i = 0; i < count; ++i) {
    const T stored = convert(values[i]);
    std::memcpy(out + sizeof(T) * i, &stored, sizeof(T));
  }
}

}  // namespace

bool dtype_is_writable(DType dtype) {
  return dtype == DType::F64 || dtype == DType::F32 || dtype == DType::F16 || dtype == DType::BF16;
}

void narrow(DType dtype, const double* values, size_t count, std::byte* out) {
  switch (dtype) {
    case DType::F64:
      std::memcpy(out, values, sizeof(double) * count);
      return;
    case DType::F32:
      return convert_all<float>(values, count, out, [](double v) { return static_cast<float>(v); });
    case DType::F16:
      return convert_all<uint16_t>(values, count, out, to_f16);
    case DType::BF16:
      return convert_all<uint16_t>(values, count, out, to_bf16);
    default:
      return;  // excluded by the contract
  }
}

}  // namespace gyro
