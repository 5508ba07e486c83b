#include "gyro/tensor/weight.h"

#include <gtest/gtest.h>

#include <cstring>
#include <span>
#include <vector>

namespace gyro {
namespace {

/// A stored matrix whose element (r, c) is 100 r + c, shifted off its alignment by one byte.
class Stored {
 public:
  Stored(int64_t rows, int64_t cols) : bytes_(static_cast<size_t>(rows * cols) * 4 + 1) {
    weight.dtype = DType::F32;
    weight.data = bytes_.data() + 1;
    weight.rows = rows;
    weight.cols = cols;
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t c = 0; c < cols; ++c) {
        const auto value = static_cast<float>(100 * r + c);
        std::memcpy(bytes_.data() + 1 + 4 * (r * cols + c), &value, 4);
      }
    }
  }
  Weight weight;

 private:
  std::vector<std::byte> bytes_;
};

/// FP8 ones (0x38 in E4M3), so that every element equals its scale.
struct Scaled {
  Scaled(int64_t rows, int64_t cols, int64_t block_rows, int64_t block_cols)
      : ones(static_cast<size_t>(rows * cols), std::byte{0x38}) {
    const int64_t across = (cols + block_cols - 1) / block_cols;
    const int64_t down = (rows + block_rows - 1) / block_rows;
    for (int64_t i = 0; i < down * across; ++i) table.push_back(0.1f * static_cast<float>(i + 1));
    weight.dtype = DType::F8_E4M3;
    weight.data = ones.data();
    weight.rows = rows;
    weight.cols = cols;
    weight.scale = {std::as_bytes(std::span(table)).data(), DType::F32, across, block_rows, block_cols};
  }
  std::vector<std::byte> ones;
  std::vector<float> table;
  Weight weight;
};

TEST(Weight, WidensAnyBlockWithALeadingDimension) {
  const Stored stored(7, 9);
  for (const int64_t ld : {4, 5, 11}) {
    std::vector<double> out(static_cast<size_t>(3 * ld), -1);
    widen(stored.weight, 2, 5, 3, 7, out.data(), ld);
    for (int64_t r = 0; r < 3; ++r) {
      for (int64_t c = 0; c < ld; ++c) {
        EXPECT_EQ(out[static_cast<size_t>(r * ld + c)], c < 4 ? 100.0 * static_cast<double>(r + 2) + 3 + c : -1);
      }
    }
  }
}

TEST(Weight, EmptyRangesWriteNothing) {
  const Stored stored(2, 2);
  double out = -1;
  widen(stored.weight, 1, 1, 0, 2, &out, 2);
  widen(stored.weight, 0, 2, 1, 1, &out, 1);
  EXPECT_EQ(out, -1);
}

TEST(Weight, SlicesShareTheBytes) {
  const Stored stored(8, 3);
  const Weight slice = slice_rows(stored.weight, 2, 7);
  EXPECT_EQ(slice.rows, 5);
  EXPECT_EQ(slice.cols, 3);
  EXPECT_EQ(slice.first_row, 2);
  EXPECT_EQ(slice.data, stored.weight.row(2));
  EXPECT_EQ(slice.byte_size(), 60u);
  const Weight inner = slice_rows(slice, 3, 4);
  EXPECT_EQ(inner.first_row, 5);
  std::vector<double> out(3);
  widen(inner, 0, 1, 0, 3, out.data(), 3);
  EXPECT_EQ(out, (std::vector<double>{500, 501, 502}));
}

// Blocks that do not divide the matrix, so that the last row and column of blocks are cut.
TEST(Weight, BlockScalesByDefinition) {
  const Scaled scaled(7, 10, 3, 4);
  std::vector<double> out(70);
  widen(scaled.weight, 0, 7, 0, 10, out.data(), 10);
  for (int64_t r = 0; r < 7; ++r) {
    for (int64_t c = 0; c < 10; ++c) {
      EXPECT_EQ(out[static_cast<size_t>(r * 10 + c)], double{scaled.table[static_cast<size_t>(r / 3 * 3 + c / 4)]});
    }
  }
}

TEST(Weight, BlockScalesOfPartsAndSlicesAreTheWholesOnes) {
  const Scaled scaled(7, 10, 3, 4);
  std::vector<double> whole(70);
  widen(scaled.weight, 0, 7, 0, 10, whole.data(), 10);
  for (int64_t row0 = 0; row0 < 7; ++row0) {
    const Weight slice = slice_rows(slice_rows(scaled.weight, row0 / 2, 7), row0 - row0 / 2, 7 - row0 / 2);
    ASSERT_EQ(slice.first_row, row0);
    for (int64_t col0 = 0; col0 < 10; ++col0) {
      const int64_t rows = 7 - row0, cols = 10 - col0;
      std::vector<double> part(static_cast<size_t>(rows * cols)), cut(part.size());
      widen(scaled.weight, row0, 7, col0, 10, part.data(), cols);
      widen(slice, 0, rows, col0, 10, cut.data(), cols);
      EXPECT_EQ(part, cut);
      for (int64_t r = 0; r < rows; ++r) {
        for (int64_t c = 0; c < cols; ++c) {
          EXPECT_EQ(part[static_cast<size_t>(r * cols + c)], whole[static_cast<size_t>((row0 + r) * 10 + col0 + c)]);
        }
      }
    }
  }
}

// 4 significant bits times 24 fit into 53: the product in FP64 is that of exact arithmetic.
TEST(Weight, ScaledValuesAreExact) {
  Scaled scaled(1, 4, 1, 4);
  const uint8_t codes[4] = {0x39, 0xbf, 0x01, 0x7e};  // 1.125, -1.875, 2^-9, 448
  std::memcpy(scaled.ones.data(), codes, 4);
  scaled.table[0] = 0.1f;
  std::vector<double> out(4);
  widen(scaled.weight, 0, 1, 0, 4, out.data(), 4);
  const auto scale = static_cast<long double>(0.1f);
  const long double values[4] = {1.125L, -1.875L, 0x1p-9L, 448.0L};
  for (size_t i = 0; i < 4; ++i) EXPECT_EQ(static_cast<long double>(out[i]), values[i] * scale);
}

TEST(Weight, HalfPrecisionScales) {
  Scaled scaled(2, 2, 1, 2);
  const uint16_t table[2] = {0x3fc0, 0xc000};  // BF16 1.5, -2
  scaled.weight.scale = {std::as_bytes(std::span(table)).data(), DType::BF16, 1, 1, 2};
  std::vector<double> out(4);
  widen(scaled.weight, 0, 2, 0, 2, out.data(), 2);
  EXPECT_EQ(out, (std::vector<double>{1.5, 1.5, -2, -2}));
}

}  // namespace
}  // namespace gyro
