#pragma once

// Makes matrices for tests, on the host; no product code includes this.

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

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

inline double frobenius(ConstMatrixView a) {
  double sum = 0;
  for (int64_t j = 0; j < a.cols; ++j) {
    for (int64_t i = 0; i < a.rows; ++i) sum += a(i, j) * a(i, j);
  }
  return std::sqrt(sum);
}

/// Makes the columns of a tall matrix orthonormal (Gram-Schmidt, each column twice).
inline Matrix orthonormalised(Matrix a) {
  for (int64_t j = 0; j < a.cols(); ++j) {
    for (int pass = 0; pass < 2; ++pass) {
      for (int64_t l = 0; l < j; ++l) {
        double overlap = 0;
        for (int64_t i = 0; i < a.rows(); ++i) overlap += a(i, l) * a(i, j);
        for (int64_t i = 0; i < a.rows(); ++i) a(i, j) -= overlap * a(i, l);
      }
    }
    const double length = frobenius(a.view().block(0, j, a.rows(), 1));
    for (int64_t i = 0; i < a.rows(); ++i) a(i, j) /= length;
  }
  return a;
}

inline Matrix orthonormal(int64_t rows, int64_t cols, uint64_t seed) {
  return orthonormalised(gaussian(rows, cols, seed));
}

/// U diag(sigma) Vᵀ
inline Matrix compose(const Matrix& u, const std::vector<double>& sigma, const Matrix& v) {
  Matrix scaled = u.clone();
  for (int64_t j = 0; j < u.cols(); ++j) {
    for (int64_t i = 0; i < u.rows(); ++i) scaled(i, j) *= sigma[static_cast<size_t>(j)];
  }
  Matrix out = Matrix::zeros(u.rows(), v.rows(), Space::Host);
  for (int64_t j = 0; j < v.rows(); ++j) {
    for (int64_t l = 0; l < u.cols(); ++l) {
      for (int64_t i = 0; i < u.rows(); ++i) out(i, j) += scaled(i, l) * v(j, l);
    }
  }
  return out;
}

/// A d_in x d_out matrix of random singular vectors.
inline Matrix with_spectrum(int64_t d_in, int64_t d_out, const std::vector<double>& sigma, uint64_t seed) {
  const auto n = static_cast<int64_t>(sigma.size());
  return compose(orthonormal(d_in, n, mix64(seed)), sigma, orthonormal(d_out, n, mix64(seed + 1)));
}

/// `count` values from `first` to `last` in equal steps.
inline std::vector<double> linear_spectrum(int64_t count, double first, double last) {
  std::vector<double> out;
  for (int64_t j = 0; j < count; ++j) {
    out.push_back(first +
                  (last - first) * static_cast<double>(j) / static_cast<double>(std::max<int64_t>(1, count - 1)));
  }
  return out;
}

/// `count` values from 1 to 1/kappa in equal ratios.
inline std::vector<double> geometric_spectrum(int64_t count, double kappa) {
  std::vector<double> out;
  for (const double x : linear_spectrum(count, 0, -std::log(kappa))) out.push_back(std::exp(x));
  return out;
}

}  // namespace gyro
