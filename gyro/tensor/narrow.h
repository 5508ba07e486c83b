#pragma once

#include <cstddef>

#include "gyro/tensor/dtype.h"

namespace gyro {

/// Whether `narrow` writes this type: F64, F32, F16, BF16.
bool dtype_is_writable(DType dtype);

/// Stores values[i] as element i of `out`, rounded once to nearest, ties to even; what is too large becomes infinite.
/// Requires dtype_is_writable(dtype).
void narrow(DType dtype, const double* values, size_t count, std::byte* out);

}  // namespace gyro
