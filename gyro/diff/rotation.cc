#include "gyro/diff/rotation.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "gyro/linalg/linalg.h"

namespace gyro {
namespace {

using linalg::Op;

Matrix product(Op op, ConstMatrixView a, ConstMatrixView b) {
  Matrix c(op == Op::None ? a.rows : a.cols, b.cols);
  linalg::gemm(op, Op::None, 1, a, b, 0, c);
  return c;
}

template <typename F>
std::vector<float> corner_of(int64_t size, F entry) {
  std::vector<float> out;
  for (int64_t i = 0; i < size; ++i) {
    for (int64_t j = 0; j < size; ++j) out.push_back(static_cast<float>(entry(i, j)));
  }
  return out;
}

std::vector<float> corner_of(const Matrix& m) {
  return corner_of(m.cols(), [&](int64_t i, int64_t j) { return m(i, j); });
}

// The first `size` columns of polar(M) = M (MᵀM)^-½. Directions in which M vanishes have no polar factor and give zero.
Matrix polar_columns(ConstMatrixView m, int64_t size) {
  const int64_t n = m.cols;
  Matrix gram(n, n);
  linalg::syrk(Op::Transpose, 1, m, 0, gram);
  const linalg::Eigh e = linalg::eigh(std::move(gram));
  Matrix weighted(n, size);  // Λ^-½ Vᵀ restricted to the first columns
  const double floor = std::max(e.values[0], 0.0) * 1e-15;
  for (int64_t j = 0; j < size; ++j) {
    for (int64_t i = 0; i < n; ++i) {
      const double value = e.values[static_cast<size_t>(i)];
      weighted(i, j) = value > floor ? e.vectors(j, i) / std::sqrt(value) : 0.0;
    }
  }
  return product(Op::None, m, product(Op::None, e.vectors, weighted));
}

}  // namespace

double EnergyBudget::leakage() const { return std::max(0.0, total - scaling - co_rotation - counter_rotation); }

EnergyBudget energy_budget(ConstMatrixView x, double total) {
  EnergyBudget budget;
  budget.total = total;
  constexpr int64_t kTile = 32;
  for (int64_t j0 = 0; j0 < x.cols; j0 += kTile) {
    for (int64_t i0 = j0; i0 < x.rows; i0 += kTile) {
      for (int64_t j = j0; j < std::min(j0 + kTile, x.cols); ++j) {
        for (int64_t i = std::max(i0, j + 1); i < std::min(i0 + kTile, x.rows); ++i) {
          const double sum = x(i, j) + x(j, i);
          const double difference = x(i, j) - x(j, i);
          budget.co_rotation += sum * sum / 2;
          budget.counter_rotation += difference * difference / 2;
        }
      }
    }
  }
  for (int64_t j = 0; j < x.cols; ++j) budget.scaling += x(j, j) * x(j, j);
  return budget;
}

double counter_over_co_sd(int64_t n) {
  if (n < 2) return std::numeric_limits<double>::infinity();
  return std::sqrt(8 / (static_cast<double>(n) * static_cast<double>(n - 1)));
}

double leading_block_norm(ConstMatrixView d, ConstMatrixView q, int64_t k) {
  const double all = linalg::norm(d.block(0, 0, d.rows, k));
  const Matrix rest = product(Op::Transpose, d.block(0, 0, d.rows, k), q.block(0, k, q.rows, q.cols - k));
  const double outside = linalg::norm(rest);
  return std::sqrt(std::max(0.0, (all - outside) * (all + outside)));
}

double orthogonality_departure(ConstMatrixView q) {
  Matrix gram(q.cols, q.cols);
  linalg::syrk(Op::Transpose, 1, q, 0, gram);
  double sum = 0;
  for (int64_t j = 0; j < q.cols; ++j) {
    const double diagonal = gram(j, j) - 1;
    sum += diagonal * diagonal;
    for (int64_t i = j + 1; i < q.cols; ++i) sum += 2 * gram(i, j) * gram(i, j);
  }
  return std::sqrt(sum / static_cast<double>(q.cols));
}

RotationCorner rotation_corner(ConstMatrixView q1, ConstMatrixView q2, int64_t size) {
  RotationCorner corner;
  corner.size = size = std::min(size, q1.cols);
  corner.sim_u = corner_of(size, [&](int64_t i, int64_t j) { return std::abs(q1(i, j)); });
  corner.sim_v = corner_of(size, [&](int64_t i, int64_t j) { return std::abs(q2(i, j)); });
  corner.sim_diff = corner_of(size, [&](int64_t i, int64_t j) { return std::abs(std::abs(q1(i, j)) - std::abs(q2(i, j))); });
  const ConstMatrixView first1 = q1.block(0, 0, q1.rows, size), first2 = q2.block(0, 0, q2.rows, size);
  corner.i_orth = corner_of(product(Op::Transpose, first1, first2));
  Matrix sum(q1.rows, q1.cols);
  for (int64_t j = 0; j < q1.cols; ++j) {
    for (int64_t i = 0; i < q1.rows; ++i) sum(i, j) = q1(i, j) + q2(i, j);
  }
  const Matrix polar = polar_columns(sum, size);
  corner.delta_q1 = corner_of(product(Op::Transpose, polar, first1));
  corner.delta_q2 = corner_of(product(Op::Transpose, polar, first2));
  return corner;
}

}  // namespace gyro
