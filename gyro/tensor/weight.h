#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "gyro/tensor/dtype.h"
#include "gyro/tensor/matrix.h"

namespace gyro {

/// Scales of a block-quantised FP8 weight: the value of element (r, c) is fp8(r, c) * scale[r / block_rows][c /
/// block_cols], the scale table row-major with `cols` columns. `data == nullptr`: no scales.
struct BlockScale {
  const std::byte* data = nullptr;
  DType dtype = DType::F32;
  int64_t cols = 0;        ///< columns of the table
  int64_t block_rows = 1;  ///< rows of the weight that share a table row
  int64_t block_cols = 1;
};

/// A two-dimensional stored weight as Hugging Face lays it out: `rows` = d_out, `cols` = d_in, row-major, rows
/// contiguous. So the same bytes read column-major are the paper's W, d_in x d_out. Whoever has no `owner` to give sees
/// to it that the bytes outlive it.
struct Weight {
  std::string name;  ///< how messages call it
  DType dtype = DType::F32;
  const std::byte* data = nullptr;  ///< element (0, 0); may be unaligned
  int64_t rows = 0;
  int64_t cols = 0;
  BlockScale scale;
  bool mapped = false;    ///< the bytes are of a mapped file: their pages may be released after use
  int64_t first_row = 0;  ///< row of the whole tensor that row 0 is (a slice of a fused tensor); used to find its scale
  Space space = Space::Host;                    ///< of data and scale
  std::shared_ptr<const void> owner = nullptr;  ///< keeps the bytes of data and scale

  size_t byte_size() const { return static_cast<size_t>(rows) * static_cast<size_t>(cols) * dtype_size(dtype); }
  /// Rows of the scale table up to the last that this weight needs.
  size_t scale_rows() const { return static_cast<size_t>((first_row + rows - 1) / scale.block_rows + 1); }
  const std::byte* row(int64_t r) const { return data + static_cast<size_t>(r * cols) * dtype_size(dtype); }
};

/// out[(r - row0) * ld + (c - col0)] = element (r, c) in FP64, for row0 <= r < row1, col0 <= c < col1. Exact, also with
/// FP8 scales of up to F32 (4 + 24 significant bits). `ld` >= col1 - col0.
void widen(const Weight& weight, int64_t row0, int64_t row1, int64_t col0, int64_t col1, double* out, int64_t ld);

/// A weight's stored bytes where the thread works: a copy on its GPU, or the weight as it is if it lies there already.
/// The copy has the original's name and shape; mapped pages are released once they are sent.
class ResidentWeight {
 public:
  explicit ResidentWeight(const Weight& weight);
  ResidentWeight(const ResidentWeight&) = delete;
  ResidentWeight& operator=(const ResidentWeight&) = delete;
  ~ResidentWeight();
  const Weight& weight() const { return weight_; }

 private:
  void release();

  Weight weight_;
  bool copied_ = false;
};

/// FP64 values in the stored layout (d_in x d_out, column-major) seen as a weight. Shares the values.
Weight as_weight(const Matrix& values, std::string name);

/// The rows [row0, row1) of `weight` as a weight of its own (shares the bytes).
Weight slice_rows(const Weight& weight, int64_t row0, int64_t row1);

}  // namespace gyro
