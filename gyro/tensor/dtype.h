#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace gyro {

/// Element types as the safetensors format names them. The first six are weights that Gyro converts exactly to FP64.
enum class DType { F64, F32, F16, BF16, F8_E4M3, F8_E5M2, I64, I32, I16, I8, U64, U32, U16, U8, BOOL };

/// Bytes of one element.
size_t dtype_size(DType dtype);
/// The safetensors name ("BF16").
std::string_view dtype_name(DType dtype);
/// The type of that safetensors name, or nothing.
std::optional<DType> dtype_from_name(std::string_view name);
/// Whether this is a floating-point type, which `widen` takes.
bool dtype_is_float(DType dtype);
/// Whether it is one of the two of 8 bits, which usually have scales.
bool dtype_is_fp8(DType dtype);
/// Explicit mantissa bits of a floating-point type (BF16: 7, F32: 23, F8_E4M3: 3).
int dtype_mantissa_bits(DType dtype);

/// Exponent of the smallest normal number of a floating-point type (BF16: −126); below it places get no smaller.
int dtype_least_exponent(DType dtype);

/// out[i] = element i of `data`, for i in [0, count). Exact for every float type (NaN and Inf are kept).
/// `data` may be unaligned. Requires dtype_is_float(dtype).
void widen(DType dtype, const std::byte* data, size_t count, double* out);

}  // namespace gyro
