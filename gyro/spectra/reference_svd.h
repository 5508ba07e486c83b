#pragma once

// An SVD for tests in a wider type than the product's, sharing no code with it: one-sided Jacobi (Hestenes), which is
// as accurate as the type on every singular value that the matrix determines. No product code includes this.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

#include "gyro/tensor/matrix.h"

namespace gyro {

/// 113 significant bits: GCC's and Clang's software quadruple precision.
__extension__ typedef __float128 Quad;

/// Columns of wide numbers.
template <typename T>
using Columns = std::vector<std::vector<T>>;

template <typename T>
T wide_root(T x) {
  if (!(x > 0)) return 0;
  T root = static_cast<T>(std::sqrt(static_cast<long double>(x)));
  for (int i = 0; i < 2; ++i) root = (root + x / root) / 2;  // Newton: 64 bits → 113
  return root;
}

template <typename T>
T wide_dot(const std::vector<T>& a, const std::vector<T>& b) {
  T sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

template <typename T>
Columns<T> wide_columns(ConstMatrixView a, bool transpose) {
  Columns<T> out(static_cast<size_t>(transpose ? a.rows : a.cols));
  for (size_t j = 0; j < out.size(); ++j) {
    for (int64_t i = 0; i < (transpose ? a.cols : a.rows); ++i) {
      const auto at = static_cast<int64_t>(j);
      out[j].push_back(static_cast<T>(transpose ? a(at, i) : a(i, at)));
    }
  }
  return out;
}

/// W = U diag(sigma) Vᵀ, reduced, sigma descending. Columns of U (or V) of vanishing sigma are zero.
template <typename T>
struct ReferenceSvd {
  std::vector<T> sigma;
  Columns<T> u, v;
};

namespace reference {

/// Cosine below which two columns count as orthogonal: a few dozen roundings of the type.
inline long double right_angle(long double) {
  return 0x1p-59L;
}
inline Quad right_angle(Quad) {
  return static_cast<Quad>(0x1p-105L);
}

/// Turns columns p and q of `a` (and of `v` alike) to right angles. Returns whether they were not.
template <typename T>
bool rotate(Columns<T>& a, Columns<T>& v, size_t p, size_t q, T tolerance) {
  const T pp = wide_dot(a[p], a[p]), qq = wide_dot(a[q], a[q]), pq = wide_dot(a[p], a[q]);
  const T size = pq < 0 ? -pq : pq;
  if (size * size <= tolerance * tolerance * pp * qq) return false;
  const T zeta = (qq - pp) / (2 * pq);
  const T root = wide_root<T>(1 + zeta * zeta);
  const T t = zeta < 0 ? 1 / (zeta - root) : 1 / (zeta + root);
  const T c = 1 / wide_root<T>(1 + t * t), s = c * t;
  for (Columns<T>* m : {&a, &v}) {
    for (size_t i = 0; i < (*m)[p].size(); ++i) {
      const T x = (*m)[p][i], y = (*m)[q][i];
      (*m)[p][i] = c * x - s * y;
      (*m)[q][i] = s * x + c * y;
    }
  }
  return true;
}

template <typename T>
void sort_by_length(Columns<T>& a, Columns<T>& v) {
  std::vector<std::pair<T, size_t>> order;
  for (size_t j = 0; j < a.size(); ++j) order.emplace_back(-wide_dot(a[j], a[j]), j);
  std::sort(order.begin(), order.end());
  Columns<T> sorted_a, sorted_v;
  for (const auto& [length, j] : order) {
    sorted_a.push_back(std::move(a[j]));
    sorted_v.push_back(std::move(v[j]));
  }
  a = std::move(sorted_a);
  v = std::move(sorted_v);
}

}  // namespace reference

/// The SVD of a small matrix, rows and columns in any proportion. T: long double or Quad.
template <typename T>
ReferenceSvd<T> reference_svd(ConstMatrixView w) {
  const bool transpose = w.rows < w.cols;
  Columns<T> a = wide_columns<T>(w, transpose);
  const size_t n = a.size();
  Columns<T> v(n, std::vector<T>(n, T{0}));
  for (size_t j = 0; j < n; ++j) v[j][j] = 1;
  const T tolerance = reference::right_angle(T{0});
  bool moved = true;
  for (int sweep = 0; moved && sweep < 60; ++sweep) {
    reference::sort_by_length(a, v);
    moved = false;
    for (size_t p = 0; p < n; ++p) {
      for (size_t q = p + 1; q < n; ++q) moved = reference::rotate(a, v, p, q, tolerance) || moved;
    }
  }
  reference::sort_by_length(a, v);
  ReferenceSvd<T> out;
  for (std::vector<T>& column : a) {
    const T length = wide_root<T>(wide_dot(column, column));
    out.sigma.push_back(length);
    for (T& x : column) x = length > 0 ? x / length : T{0};
  }
  out.u = transpose ? std::move(v) : std::move(a);
  out.v = transpose ? std::move(a) : std::move(v);
  return out;
}

/// P = U Vᵀ: columns of a d_in x d_out matrix.
template <typename T>
Columns<T> polar_factor(const ReferenceSvd<T>& svd) {
  Columns<T> p(svd.v[0].size(), std::vector<T>(svd.u[0].size(), T{0}));
  for (size_t l = 0; l < svd.sigma.size(); ++l) {
    for (size_t j = 0; j < p.size(); ++j) {
      for (size_t i = 0; i < p[j].size(); ++i) p[j][i] += svd.u[l][i] * svd.v[l][j];
    }
  }
  return p;
}

/// ‖(AᵀB)[:rows, :cols] − I‖_F
template <typename T>
T distance_from_identity(const Columns<T>& a, const Columns<T>& b, size_t rows, size_t cols) {
  T sum = 0;
  for (size_t i = 0; i < rows; ++i) {
    for (size_t j = 0; j < cols; ++j) {
      const T entry = wide_dot(a[i], b[j]) - (i == j ? 1 : 0);
      sum += entry * entry;
    }
  }
  return wide_root(sum);
}

template <typename T>
Columns<T> wide_transpose(const Columns<T>& a) {
  Columns<T> out(a[0].size(), std::vector<T>(a.size()));
  for (size_t j = 0; j < a.size(); ++j) {
    for (size_t i = 0; i < a[j].size(); ++i) out[i][j] = a[j][i];
  }
  return out;
}

/// What Gyro prints of a pair, by the definitions of He & Cao's eqs. 4 and 7.
struct ReferencePair {
  double alpha_mean = 0, alpha_std = 0, nf = 0, nf_robust = 0;
};

/// NF by the polar factors, ‖P_pᵀP_b − I‖_F / n if d_in ≥ d_out, else ‖P_b P_pᵀ − I‖_F / n; robust NF by
/// (Q_1ᵀQ_2)[:k,:k] = (P_bᵀ U_p)[:, :k]ᵀ V_p[:, :k]: neither takes base's vectors one by one.
template <typename T>
ReferencePair reference_pair(ConstMatrixView base, ConstMatrixView post) {
  const ReferenceSvd<T> b = reference_svd<T>(base), p = reference_svd<T>(post);
  const size_t n = b.sigma.size();
  const size_t k = std::max<size_t>(1, n * 9 / 10);
  T mean = 0, squares = 0;
  for (size_t j = 0; j < k; ++j) mean += p.sigma[j] / b.sigma[j];
  mean /= static_cast<T>(static_cast<double>(k));
  for (size_t j = 0; j < k; ++j) {
    const T d = p.sigma[j] / b.sigma[j] - mean;
    squares += d * d;
  }
  Columns<T> pb = polar_factor(b), pp = polar_factor(p);
  Columns<T> leading;  // column j: P_bᵀ u_p,j
  for (size_t j = 0; j < k; ++j) {
    leading.emplace_back();
    for (const std::vector<T>& column : pb) leading.back().push_back(wide_dot(column, p.u[j]));
  }
  if (base.rows < base.cols) {
    pb = wide_transpose(pb);
    pp = wide_transpose(pp);
  }
  return {static_cast<double>(mean),
          static_cast<double>(wide_root<T>(squares / static_cast<T>(static_cast<double>(k)))),
          static_cast<double>(distance_from_identity(pp, pb, n, n)) / static_cast<double>(n),
          static_cast<double>(distance_from_identity(leading, p.v, k, k)) / static_cast<double>(k)};
}

}  // namespace gyro
