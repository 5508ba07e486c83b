#include "gyro/checkpoint/mxfp4.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>

namespace gyro {
namespace {

constexpr size_t kBlockBytes = kMxfp4Block / 2;
constexpr int64_t kTile = 64;  // rows at a time, so that what is written together lies together

using Table = std::array<std::array<uint16_t, 16>, 256>;

const Table& values_by_scale() {
  static const Table table = [] {
    Table made{};
    for (unsigned scale = 0; scale < 256; ++scale) {
      for (unsigned code = 0; code < 16; ++code) made[scale][code] = mxfp4_value(code, scale);
    }
    return made;
  }();
  return table;
}

}  // namespace

uint16_t mxfp4_value(unsigned code, unsigned scale) {
  constexpr std::array<float, 8> kMagnitudes = {0, 0.5F, 1, 1.5F, 2, 3, 4, 6};
  if (scale == 255) return 0x7fc0;
  const float value = std::ldexp(kMagnitudes[code & 7U], static_cast<int>(scale) - 127);
  // Two significant bits, and no place below 2^-133: nothing is cut off.
  return static_cast<uint16_t>(std::bit_cast<uint32_t>(code < 8 ? value : -value) >> 16U);
}

void decode_mxfp4(std::span<const std::byte> blocks, std::span<const std::byte> scales, int64_t rows, int64_t groups,
                  std::span<std::byte> out) {
  const Table& table = values_by_scale();
  std::array<std::array<uint16_t, kTile>, kMxfp4Block> tile{};
  for (int64_t first = 0; first < rows; first += kTile) {
    const int64_t count = std::min(kTile, rows - first);
    for (int64_t group = 0; group < groups; ++group) {
      for (int64_t r = 0; r < count; ++r) {
        const auto block = static_cast<size_t>((first + r) * groups + group);
        const auto& values = table[std::to_integer<size_t>(scales[block])];
        for (size_t i = 0; i < kBlockBytes; ++i) {
          const auto pair = std::to_integer<size_t>(blocks[block * kBlockBytes + i]);
          tile[2 * i][static_cast<size_t>(r)] = values[pair & 15U];
          tile[2 * i + 1][static_cast<size_t>(r)] = values[pair >> 4U];
        }
      }
      for (int64_t c = 0; c < kMxfp4Block; ++c) {
        const auto at = static_cast<size_t>((group * kMxfp4Block + c) * rows + first);
        std::memcpy(out.data() + at * sizeof(uint16_t), tile[static_cast<size_t>(c)].data(),
                    static_cast<size_t>(count) * sizeof(uint16_t));
      }
    }
  }
}

}  // namespace gyro
