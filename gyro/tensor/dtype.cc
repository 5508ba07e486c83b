#include "gyro/tensor/dtype.h"

#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "gyro/base/clones.h"

namespace gyro {
namespace {

struct Row {
  DType dtype;
  std::string_view name;
  size_t size;
  int mantissa_bits;  // 0: not a float
  int least_exponent;
};

constexpr std::array kTable = {
    Row{DType::F64, "F64", 8, 52, -1022},     Row{DType::F32, "F32", 4, 23, -126},
    Row{DType::F16, "F16", 2, 10, -14},       Row{DType::BF16, "BF16", 2, 7, -126},
    Row{DType::F8_E4M3, "F8_E4M3", 1, 3, -6}, Row{DType::F8_E5M2, "F8_E5M2", 1, 2, -14},
    Row{DType::I64, "I64", 8, 0, 0},          Row{DType::I32, "I32", 4, 0, 0},
    Row{DType::I16, "I16", 2, 0, 0},          Row{DType::I8, "I8", 1, 0, 0},
    Row{DType::U64, "U64", 8, 0, 0},          Row{DType::U32, "U32", 4, 0, 0},
    Row{DType::U16, "U16", 2, 0, 0},          Row{DType::U8, "U8", 1, 0, 0},
    Row{DType::BOOL, "BOOL", 1, 0, 0},
};

const Row& row_of(DType dtype) {
  return kTable[static_cast<size_t>(dtype)];
}

template <typename T>
T load(const std::byte* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

GYRO_CLONES void widen_f32(const std::byte* data, size_t count, double* out) {
  for (size_t i = 0; i < count; ++i) out[i] = load<float>(data + 4 * i);
}

GYRO_CLONES void widen_bf16(const std::byte* data, size_t count, double* out) {
  for (size_t i = 0; i < count; ++i) {
    out[i] = std::bit_cast<float>(static_cast<uint32_t>(load<uint16_t>(data + 2 * i)) << 16);
  }
}

// The exponent is re-biased by one multiplication, which also normalises subnormals: both are exact in FP32.
GYRO_CLONES void widen_f16(const std::byte* data, size_t count, double* out) {
  for (size_t i = 0; i < count; ++i) {
    const uint32_t bits = load<uint16_t>(data + 2 * i);
    const uint32_t magnitude = bits & 0x7fffu;
    const uint32_t special = magnitude >= 0x7c00u ? 0x7f800000u : 0u;
    const float scaled = std::bit_cast<float>(magnitude << 13) * 0x1p112f;
    const uint32_t value = special != 0 ? special | (magnitude << 13 & 0x7fffffu) : std::bit_cast<uint32_t>(scaled);
    out[i] = std::bit_cast<float>(value | (bits & 0x8000u) << 16);
  }
}

// E4M3 is the "FN" form: no infinities, NaN only at S.1111.111. E5M2 is IEEE-like.
double decode_f8(unsigned byte, int exponent_bits, int mantissa_bits, bool finite_only) {
  const int exponent = static_cast<int>(byte >> mantissa_bits) & ((1 << exponent_bits) - 1);
  const int mantissa = static_cast<int>(byte) & ((1 << mantissa_bits) - 1);
  const int bias = (1 << (exponent_bits - 1)) - 1;
  const double sign = (byte & 0x80u) != 0 ? -1 : 1;
  const int top = (1 << exponent_bits) - 1;
  const bool special = exponent == top && (!finite_only || mantissa == (1 << mantissa_bits) - 1);
  if (special && (finite_only || mantissa != 0)) return std::numeric_limits<double>::quiet_NaN();
  if (special) return sign * std::numeric_limits<double>::infinity();
  if (exponent == 0) return sign * std::ldexp(mantissa, 1 - bias - mantissa_bits);
  return sign * std::ldexp(mantissa + (1 << mantissa_bits), exponent - bias - mantissa_bits);
}

std::array<double, 256> f8_table(int exponent_bits, int mantissa_bits, bool finite_only) {
  std::array<double, 256> table{};
  for (unsigned byte = 0; byte < 256; ++byte) table[byte] = decode_f8(byte, exponent_bits, mantissa_bits, finite_only);
  return table;
}

void widen_table(const std::array<double, 256>& table, const std::byte* data, size_t count, double* out) {
  for (size_t i = 0; i < count; ++i) out[i] = table[static_cast<size_t>(data[i])];
}

}  // namespace

size_t dtype_size(DType dtype) {
  return row_of(dtype).size;
}
std::string_view dtype_name(DType dtype) {
  return row_of(dtype).name;
}
bool dtype_is_float(DType dtype) {
  return row_of(dtype).mantissa_bits > 0;
}
bool dtype_is_fp8(DType dtype) {
  return dtype == DType::F8_E4M3 || dtype == DType::F8_E5M2;
}
int dtype_mantissa_bits(DType dtype) {
  return row_of(dtype).mantissa_bits;
}

int dtype_least_exponent(DType dtype) {
  return row_of(dtype).least_exponent;
}

std::optional<DType> dtype_from_name(std::string_view name) {
  for (const Row& row : kTable) {
    if (row.name == name) return row.dtype;
  }
  return std::nullopt;
}

void widen(DType dtype, const std::byte* data, size_t count, double* out) {
  static const auto e4m3 = f8_table(4, 3, true);
  static const auto e5m2 = f8_table(5, 2, false);
  switch (dtype) {
    case DType::F64:
      std::memcpy(out, data, 8 * count);
      return;
    case DType::F32:
      return widen_f32(data, count, out);
    case DType::BF16:
      return widen_bf16(data, count, out);
    case DType::F16:
      return widen_f16(data, count, out);
    case DType::F8_E4M3:
      return widen_table(e4m3, data, count, out);
    case DType::F8_E5M2:
      return widen_table(e5m2, data, count, out);
    default:
      return;  // not a float: excluded by the contract
  }
}

}  // namespace gyro
