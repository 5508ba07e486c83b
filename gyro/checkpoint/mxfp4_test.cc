#include "gyro/checkpoint/mxfp4.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <random>
#include <vector>

#include "gyro/checkpoint/checkpoint.h"
#include "gyro/checkpoint/test_util.h"
#include "gyro/tensor/dtype.h"

namespace gyro {
namespace {

// From the bits' meaning: sign, two bits of exponent of bias 1, one of mantissa.
double meaning(unsigned code, unsigned scale) {
  const unsigned exponent = (code >> 1U) & 3U, mantissa = code & 1U;
  const double magnitude = exponent == 0 ? 0.5 * mantissa : std::exp2(exponent - 1.0) * (1 + 0.5 * mantissa);
  return (code & 8U ? -magnitude : magnitude) * std::exp2(static_cast<double>(scale) - 127);
}

double of_bf16(uint16_t bits) {
  double value = 0;
  widen(DType::BF16, reinterpret_cast<const std::byte*>(&bits), 1, &value);
  return value;
}

constexpr double kLargestBf16 = 0x1.FEp127;

TEST(Mxfp4, EveryValueOfEveryScale) {
  for (unsigned scale = 0; scale < 255; ++scale) {
    for (unsigned code = 0; code < 16; ++code) {
      const double expected = meaning(code, scale), value = of_bf16(mxfp4_value(code, scale));
      if (std::abs(expected) > kLargestBf16) {
        EXPECT_EQ(value, std::copysign(HUGE_VAL, expected)) << code << " " << scale;
      } else {
        EXPECT_EQ(std::bit_cast<uint64_t>(value), std::bit_cast<uint64_t>(expected)) << code << " " << scale;
      }
    }
  }
  for (unsigned code = 0; code < 16; ++code) EXPECT_TRUE(std::isnan(of_bf16(mxfp4_value(code, 255))));
}

std::vector<uint8_t> random_bytes(size_t count, unsigned largest, unsigned seed) {
  std::mt19937 generator(seed);
  std::vector<uint8_t> out(count);
  for (uint8_t& byte : out) byte = static_cast<uint8_t>(generator() % (largest + 1));
  return out;
}

// Two experts of 70 rows of 3 blocks, as a checkpoint holds them.
TEST(Mxfp4, ATensorOfExperts) {
  constexpr int64_t kExperts = 2, kRows = 70, kGroups = 3;
  const std::vector<uint8_t> blocks = random_bytes(kExperts * kRows * kGroups * 16, 255, 1);
  const std::vector<uint8_t> scales = random_bytes(kExperts * kRows * kGroups, 250, 2);
  const TempDir dir;
  write_text(dir / "config.json", R"({"quantization_config":{"quant_method":"mxfp4"}})");
  write_tensors(dir / "model.safetensors", {{"up_blocks", DType::U8, {kExperts, kRows, kGroups, 16}, bytes_of(blocks)},
                                            {"up_scales", DType::U8, {kExperts, kRows, kGroups}, bytes_of(scales)},
                                            {"lone_blocks", DType::U8, {1, 1, 1, 16}},
                                            {"odd_blocks", DType::U8, {1, 1, 1, 16}},
                                            {"odd_scales", DType::U8, {1, 2, 1}}});
  const Checkpoint checkpoint(dir.path());
  std::vector<std::string> names;
  for (const auto& [name, tensor] : checkpoint.tensors()) names.push_back(name);
  EXPECT_EQ(names, (std::vector<std::string>{"lone_blocks", "odd_blocks", "odd_scales", "up"}));
  const SourceTensor& up = *checkpoint.find("up");
  EXPECT_EQ(up.dtype, DType::BF16);
  ASSERT_EQ(up.shape, (std::vector<int64_t>{kExperts, kGroups * 32, kRows}));
  checkpoint.prefetch("up", 1, 2);
  for (int64_t first = 0; first < kExperts; ++first) {
    const TensorLease lease = checkpoint.read_rows("up", first, kExperts);
    ASSERT_EQ(lease.bytes.size(), static_cast<size_t>(kExperts - first) * up.row_bytes());
    std::vector<double> values(lease.bytes.size() / 2);
    widen(DType::BF16, lease.bytes.data(), values.size(), values.data());
    for (int64_t e = first; e < kExperts; ++e) {
      for (int64_t row = 0; row < kRows; ++row) {
        for (int64_t col = 0; col < kGroups * 32; ++col) {
          const auto block = static_cast<size_t>((e * kRows + row) * kGroups + col / 32);
          const unsigned pair = blocks[block * 16 + static_cast<size_t>(col % 32 / 2)];
          const unsigned code = col % 2 == 0 ? pair % 16 : pair / 16;
          ASSERT_EQ(values[static_cast<size_t>(((e - first) * kGroups * 32 + col) * kRows + row)],
                    meaning(code, scales[block]));
        }
      }
    }
  }
  EXPECT_EQ(checkpoint.identity(), Checkpoint(dir.path()).identity());
}

}  // namespace
}  // namespace gyro
