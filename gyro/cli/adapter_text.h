#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <string>

namespace gyro {

/// How many of an adapter's modules (rows with `module` and `rank`) have fewer components than the rank that was asked
/// for: a line, or nothing.
template <typename Rows>
std::string capped_text(const Rows& rows, int64_t rank) {
  int64_t count = 0;
  std::string first;
  for (const auto& row : rows) {
    if (row.rank >= rank) continue;
    if (count++ == 0) first = fmt::format("{} with {}", row.module, row.rank);
  }
  if (count == 0) return "";
  return fmt::format("{} of {} modules have fewer than {} components, and the adapter all of them, such as {}.\n",
                     count, rows.size(), rank, first);
}

}  // namespace gyro
