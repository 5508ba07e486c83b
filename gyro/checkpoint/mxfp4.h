#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace gyro {

inline constexpr int64_t kMxfp4Block = 32;  ///< values that share a scale, in 16 bytes

/// The BF16 bits of a value of MXFP4 (OCP Microscaling Formats 1.0): the E2M1 number whose four bits are `code`, times
/// 2^(scale − 127). Exact; what is beyond BF16, of scales above 252, is infinite, and the scale 255 is NaN.
uint16_t mxfp4_value(unsigned code, unsigned scale);

/// One expert's matrix as gpt-oss packs it, in BF16 as its unpacked form lays it out. `blocks`: for each of `rows` rows
/// `groups` blocks of 16 bytes, the low four bits of a byte first. `scales`: a byte for each block. `out`, in bytes:
/// BF16 [groups * 32, rows], the transpose (transformers: convert_moe_packed_tensors).
void decode_mxfp4(std::span<const std::byte> blocks, std::span<const std::byte> scales, int64_t rows, int64_t groups,
                  std::span<std::byte> out);

}  // namespace gyro
