#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "gyro/arch/arch.h"

namespace gyro {

/// How many rows of its tensor lie between row_begin and the last that is W's, that one included.
int64_t span_of_rows(const MatrixSite& site);

/// W's rows out of the site's [row_begin, row_end), where they come in blocks: copied, one after the other.
TensorLease gather_rows(const MatrixSite& site, const TensorLease& rows, size_t element);
/// The inverse: lays W's rows where they belong among the site's, and leaves the others as they are.
void scatter_rows(const MatrixSite& site, std::span<const std::byte> weight, size_t element, std::byte* rows);
/// The table of scales with a row for each of W's rows, for a weight whose first row is 0; `table` is the whole
/// tensor's, laid out as `layout` says, and what is returned keeps the bytes.
std::shared_ptr<const void> gather_scales(const MatrixSite& site, const TensorLease& table, BlockScale& layout);

/// Which part of its tensor a matrix is, for messages: "[0:64]", "[0:176, 16 of every 48]", "[0:768, 64:128]".
std::string part_of_tensor(const MatrixSite& site);

}  // namespace gyro
