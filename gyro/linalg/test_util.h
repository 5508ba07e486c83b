#pragma once

// Makes matrices for tests, on the host; no product code includes this.

#include "gyro/base/random.h"
#include "gyro/tensor/matrix.h"

namespace gyro {

inline Matrix gaussian(int64_t rows, int64_t cols, uint64_t seed) {
  Matrix m(rows, cols, Space::Host);
  Random random(seed);
  random.normals({m.data(), static_cast<size_t>(rows * cols)}, 1);
  return m;
}

inline Matrix random_symmetric(int64_t n, uint64_t seed) {
  Matrix a = gaussian(n, n, seed);
  for (int64_t j = 0; j < n; ++j) {
    for (int64_t i = 0; i < j; ++i) a(i, j) = a(j, i);
  }
  return a;
}

}  // namespace gyro
