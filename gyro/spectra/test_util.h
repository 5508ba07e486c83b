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

/// The nearest of FP8's E4M3 values to each, d_in x d_out, over the scale that brings the largest of its block of
/// `block` x `block` to 448.
class ScaledFp8 {
 public:
  ScaledFp8(const Matrix& values, int64_t block)
      : bytes_(static_cast<size_t>(values.rows() * values.cols())), cols_((values.rows() + block - 1) / block) {
    weight_ = weight_of(values);
    weight_.dtype = DType::F8_E4M3;
    scales_.resize(static_cast<size_t>((weight_.rows + block - 1) / block * cols_));
    for (int64_t j = 0; j < values.cols(); ++j) {
      for (int64_t i = 0; i < values.rows(); ++i) {
        float& scale = scales_[static_cast<size_t>(j / block * cols_ + i / block)];
        scale = std::max(scale, static_cast<float>(std::abs(values(i, j)) / 448));
      }
    }
    weight_.data = bytes_.data();
    weight_.scale = {reinterpret_cast<const std::byte*>(scales_.data()), DType::F32, cols_, block, block};
    store(values);
  }
  ScaledFp8(const ScaledFp8&) = delete;
  ScaledFp8& operator=(const ScaledFp8&) = delete;
  /// Puts other values in their place, with the same scales.
  void store(const Matrix& values) {
    std::vector<double> table(256);
    std::vector<std::byte> codes(256);
    for (size_t i = 0; i < 256; ++i) codes[i] = static_cast<std::byte>(i);
    widen(DType::F8_E4M3, codes.data(), 256, table.data());
    for (int64_t j = 0; j < values.cols(); ++j) {
      for (int64_t i = 0; i < values.rows(); ++i) {
        const int64_t block = weight_.scale.block_rows;
        const double x = values(i, j) / scales_[static_cast<size_t>(j / block * cols_ + i / block)];
        const auto farther = [&](double a, double b) { return !(std::abs(a - x) <= std::abs(b - x)); };
        size_t best = 0;
        for (size_t code = 1; code < 256; ++code) {
          if (!std::isnan(table[code]) && farther(table[best], table[code])) best = code;
        }
        bytes_[static_cast<size_t>(j * values.rows() + i)] = static_cast<std::byte>(best);
      }
    }
  }
  const Weight& weight() const { return weight_; }
  Matrix values() const {
    Matrix out(weight_.cols, weight_.rows);
    widen(weight_, 0, weight_.rows, 0, weight_.cols, out.data(), weight_.cols);
    return out;
  }

 private:
  std::vector<std::byte> bytes_;
  std::vector<float> scales_;
  int64_t cols_;
  Weight weight_;
};

}  // namespace gyro
