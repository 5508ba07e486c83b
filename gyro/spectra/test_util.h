#pragma once

// Makes small matrices and compares them, for tests; no product code includes this.

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "gyro/base/random.h"
#include "gyro/base/test_util.h"
#include "gyro/linalg/test_util.h"
#include "gyro/spectra/pair.h"
#include "gyro/tensor/matrix.h"
#include "gyro/tensor/weight.h"

namespace gyro {

/// A B by definition.
inline Matrix times(ConstMatrixView a, ConstMatrixView b) {
  Matrix c = Matrix::zeros(a.rows, b.cols, Space::Host);
  for (int64_t j = 0; j < b.cols; ++j) {
    for (int64_t l = 0; l < a.cols; ++l) {
      for (int64_t i = 0; i < a.rows; ++i) c(i, j) += a(i, l) * b(l, j);
    }
  }
  return c;
}

inline Matrix transposed(ConstMatrixView a) {
  Matrix t(a.cols, a.rows, Space::Host);
  for (int64_t j = 0; j < a.cols; ++j) {
    for (int64_t i = 0; i < a.rows; ++i) t(j, i) = a(i, j);
  }
  return t;
}

/// a A + b B
inline Matrix combined(double a, ConstMatrixView x, double b, ConstMatrixView y) {
  Matrix out(x.rows, x.cols, Space::Host);
  for (int64_t j = 0; j < x.cols; ++j) {
    for (int64_t i = 0; i < x.rows; ++i) out(i, j) = a * x(i, j) + b * y(i, j);
  }
  return out;
}

/// An orthogonal n x n matrix that turns by about `angle`: I + angle·K made orthonormal, K antisymmetric.
inline Matrix small_rotation(int64_t n, double angle, uint64_t seed) {
  const Matrix g = gaussian(n, n, seed);
  const double factor = angle / std::sqrt(static_cast<double>(n));
  Matrix q(n, n, Space::Host);
  for (int64_t j = 0; j < n; ++j) {
    for (int64_t i = 0; i < n; ++i) q(i, j) = (i == j ? 1 : 0) + factor * (g(i, j) - g(j, i));
  }
  return orthonormalised(std::move(q));
}

/// The stored form of the paper's W, d_in x d_out. Shares the elements.
inline Weight weight_of(const Matrix& w, const char* name = "some.weight") {
  Weight weight;
  weight.name = name;
  weight.dtype = DType::F64;
  weight.data = reinterpret_cast<const std::byte*>(w.data());
  weight.rows = w.cols();
  weight.cols = w.rows();
  return weight;
}

inline PairMeasure compare(const Matrix& base, const Matrix& post, const PairOptions& options = {}) {
  return BaseMatrix(weight_of(base, "base.weight")).compare(weight_of(post, "post.weight"), options);
}

inline bool has_flag(const PairMeasure& m, const std::string& flag) {
  return std::find(m.flags.begin(), m.flags.end(), flag) != m.flags.end();
}

}  // namespace gyro
