#pragma once

#include "gyro/base/random.h"
#include "gyro/linalg/linalg.h"

namespace gyro::linalg {

/// The stream of one column of one tile of kRandomRows rows (linalg.h, fill_normal): what makes a random matrix the
/// same whoever fills it, in whatever order.
GYRO_HOST_DEVICE inline Random tile_stream(uint64_t seed, int64_t tile, int64_t column) {
  return Random(mix64(mix64(seed ^ static_cast<uint64_t>(tile)) ^ static_cast<uint64_t>(column)));
}

/// Column `column` (from x's first) of rows [row0, row0 + rows) of a Bartlett factor, `rows` within one tile: normal
/// above the diagonal, chi on it, zero below.
GYRO_HOST_DEVICE inline void bartlett_column(double* out, int64_t count, double deviation, uint64_t seed, int64_t row0,
                                             int64_t column, int64_t rows) {
  Random random = tile_stream(seed, row0 / kRandomRows, column);
  const int64_t above = column - row0;
  for (int64_t i = 0; i < count; ++i) {
    out[i] = i < above    ? deviation * random.normal()
             : i == above ? deviation * random.chi(static_cast<double>(rows - column))
                          : 0;
  }
}

}  // namespace gyro::linalg
