#include "gyro/tensor/weight.h"

#include <algorithm>

#include "gyro/base/file.h"

namespace gyro {
namespace {

double scale_at(const BlockScale& scale, int64_t row, int64_t col) {
  const auto index = static_cast<size_t>(row / scale.block_rows * scale.cols + col / scale.block_cols);
  double value = 0;
  widen(scale.dtype, scale.data + index * dtype_size(scale.dtype), 1, &value);
  return value;
}

void apply_scale(const BlockScale& scale, int64_t row, int64_t col0, int64_t col1, double* out) {
  for (int64_t col = col0; col < col1;) {
    const int64_t next = std::min(col1, (col / scale.block_cols + 1) * scale.block_cols);
    const double factor = scale_at(scale, row, col);
    for (int64_t c = col; c < next; ++c) out[c - col0] *= factor;
    col = next;
  }
}

}  // namespace

void widen(const Weight& weight, int64_t row0, int64_t row1, int64_t col0, int64_t col1, double* out, int64_t ld) {
  const size_t skip = static_cast<size_t>(col0) * dtype_size(weight.dtype);
  for (int64_t r = row0; r < row1; ++r) {
    double* to = out + (r - row0) * ld;
    widen(weight.dtype, weight.row(r) + skip, static_cast<size_t>(col1 - col0), to);
    if (weight.scale.data != nullptr) apply_scale(weight.scale, weight.first_row + r, col0, col1, to);
  }
}

ResidentWeight::ResidentWeight(const Weight& weight) : weight_(weight) {
  if (weight.space == device::here()) return;
  copied_ = true;
  weight_.space = Space::Device;
  weight_.mapped = false;
  weight_.data = static_cast<const std::byte*>(device::allocate(weight.byte_size()));
  weight_.scale.data = nullptr;
  try {
    device::upload(const_cast<std::byte*>(weight_.data), weight.data, weight.byte_size());
    if (weight.scale.data != nullptr) {
      const size_t bytes =
          weight.scale_rows() * static_cast<size_t>(weight.scale.cols) * dtype_size(weight.scale.dtype);
      weight_.scale.data = static_cast<const std::byte*>(device::allocate(bytes));
      device::upload(const_cast<std::byte*>(weight_.scale.data), weight.scale.data, bytes);
    }
  } catch (...) {
    release();
    throw;
  }
  if (weight.mapped) release_pages({weight.data, weight.byte_size()});
  weight_.owner = nullptr;  // of bytes that are no longer needed
}

void ResidentWeight::release() {
  if (!copied_) return;
  device::release(const_cast<std::byte*>(weight_.data));
  device::release(const_cast<std::byte*>(weight_.scale.data));
}

ResidentWeight::~ResidentWeight() {
  release();
}

Weight as_weight(const Matrix& values, std::string name) {
  return {.name = std::move(name),
          .dtype = DType::F64,
          .data = reinterpret_cast<const std::byte*>(values.data()),
          .rows = values.cols(),
          .cols = values.rows(),
          .scale = {},
          .space = values.space()};
}

Weight slice_rows(const Weight& weight, int64_t row0, int64_t row1) {
  Weight part = weight;
  part.data = weight.row(row0);
  part.rows = row1 - row0;
  part.first_row = weight.first_row + row0;
  return part;
}

}  // namespace gyro
