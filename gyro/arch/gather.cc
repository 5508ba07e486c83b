#include "gyro/arch/gather.h"

#include <cstring>

#include "gyro/base/error.h"

namespace gyro {
namespace {

// Row r of W, counted from the site's first.
int64_t row_of(const MatrixSite& site, int64_t r) {
  return r / site.block * site.block_step + r % site.block;
}

}  // namespace

int64_t span_of_rows(const MatrixSite& site) {
  if (site.transposed) return site.d_in;
  return site.block == 0 ? site.d_out : row_of(site, site.d_out - 1) + 1;
}

TensorLease gather_rows(const MatrixSite& site, const TensorLease& rows, size_t element) {
  const size_t row = static_cast<size_t>(site.d_in) * element;
  auto bytes = std::make_shared<std::vector<std::byte>>(static_cast<size_t>(site.d_out) * row);
  for (int64_t r = 0; r < site.d_out; r += site.block) {
    std::memcpy(bytes->data() + static_cast<size_t>(r) * row,
                rows.bytes.data() + static_cast<size_t>(row_of(site, r)) * row, static_cast<size_t>(site.block) * row);
  }
  return {*bytes, bytes, false};
}

void scatter_rows(const MatrixSite& site, std::span<const std::byte> weight, size_t element, std::byte* rows) {
  const size_t row = static_cast<size_t>(site.d_in) * element;
  for (int64_t r = 0; r < site.d_out; r += site.block) {
    std::memcpy(rows + static_cast<size_t>(row_of(site, r)) * row, weight.data() + static_cast<size_t>(r) * row,
                static_cast<size_t>(site.block) * row);
  }
}

std::shared_ptr<const void> gather_scales(const MatrixSite& site, const TensorLease& table, BlockScale& layout) {
  const size_t row = static_cast<size_t>(layout.cols) * dtype_size(layout.dtype);
  auto bytes = std::make_shared<std::vector<std::byte>>(static_cast<size_t>(site.d_out) * row);
  for (int64_t r = 0; r < site.d_out; ++r) {
    const int64_t of_table = (site.row_begin + row_of(site, r)) / layout.block_rows;
    std::memcpy(bytes->data() + static_cast<size_t>(r) * row, table.bytes.data() + static_cast<size_t>(of_table) * row,
                row);
  }
  layout.data = bytes->data();
  layout.block_rows = 1;
  return bytes;
}

std::string part_of_tensor(const MatrixSite& site) {
  const std::string rows = fmt::format("{}:{}", site.row_begin, site.row_end);
  if (site.block > 0) return fmt::format("[{}, {} of every {}]", rows, site.block, site.block_step);
  if (!site.transposed) return fmt::format("[{}]", rows);
  const int64_t end = site.col_begin + (site.d_out - 1) * site.col_step + 1;
  const std::string step = site.col_step == 1 ? "" : fmt::format(":{}", site.col_step);
  return fmt::format("[{}, {}:{}{}]", rows, site.col_begin, end, step);
}

}  // namespace gyro
