#include "gyro/spectra/rotation.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "gyro/linalg/linalg.h"

namespace gyro {
namespace {

using linalg::Op;
using linalg::product;

template <typename F>
std::vector<float> corner_of(int64_t size, F entry) {
  std::vector<float> out;
  for (int64_t i = 0; i < size; ++i) {
    for (int64_t j = 0; j < size; ++j) out.push_back(static_cast<float>(entry(i, j)));
  }
  return out;
}

std::vector<float> corner_of(const Matrix& m) {
  const Matrix near = Matrix::copy_of(m, Space::Host);
  return corner_of(m.cols(), [&](int64_t i, int64_t j) { return near(i, j); });
}

// Krylov step of every column at once: next = H v_step − (what lies along the earlier vectors), H = MᵀM.
struct Lanczos {
  std::vector<Matrix> basis;                  // step → n x size
  std::vector<std::vector<double>> diagonal;  // column → step
  std::vector<std::vector<double>> beta;      // column → step
};

double column_dot(const Matrix& a, const Matrix& b, int64_t j) {
  double sum = 0;
  for (int64_t i = 0; i < a.rows(); ++i) sum += a(i, j) * b(i, j);
  return sum;
}

// H v on the host; the products where M lies.
Matrix times_gram(ConstMatrixView m, const Matrix& v) {
  const Matrix there = Matrix::copy_of(v, m.space);
  return Matrix::copy_of(product(Op::Transpose, Op::None, m, product(Op::None, Op::None, m, there)), Space::Host);
}

void extend(Lanczos& l, ConstMatrixView m) {
  const Matrix& v = l.basis.back();
  Matrix next = times_gram(m, v);
  for (int64_t j = 0; j < v.cols(); ++j) {
    l.diagonal[static_cast<size_t>(j)].push_back(column_dot(v, next, j));
    for (int pass = 0; pass < 2; ++pass) {  // twice is enough
      for (const Matrix& earlier : l.basis) {
        const double overlap = column_dot(earlier, next, j);
        for (int64_t i = 0; i < v.rows(); ++i) next(i, j) -= overlap * earlier(i, j);
      }
    }
    const double beta = std::sqrt(column_dot(next, next, j));
    l.beta[static_cast<size_t>(j)].push_back(beta);
    for (int64_t i = 0; i < v.rows(); ++i) next(i, j) = beta > 1e-13 ? next(i, j) / beta : 0;
  }
  l.basis.push_back(std::move(next));
}

// An eigenvalue of H = MᵀM below this share of the largest is one of zero, by which nothing is divided: what rounding
// leaves of it depends on the machine. A direction whose part of a column is below kPart is missed by nobody.
constexpr double kVanishing = 1e-12, kPart = 1e-6;

// (T^-½ e_1) of the steps' tridiagonal matrix of column j: the coefficients of H^-½ e_j in the basis. `complete`
// becomes false where a direction that vanishes is left out of it.
std::vector<double> inverse_root_coefficients(const Lanczos& l, size_t j, bool& complete) {
  const auto k = static_cast<int64_t>(l.diagonal[j].size());
  Matrix t = Matrix::zeros(k, k, Space::Host);
  for (int64_t i = 0; i < k; ++i) {
    t(i, i) = l.diagonal[j][static_cast<size_t>(i)];
    if (i + 1 < k) t(i + 1, i) = l.beta[j][static_cast<size_t>(i)];
  }
  const linalg::Eigh e = linalg::eigh(std::move(t));
  std::vector<double> out(static_cast<size_t>(k));
  const double floor = std::max(e.values[0], 0.0) * kVanishing;
  for (int64_t p = 0; p < k; ++p) {
    const double value = e.values[static_cast<size_t>(p)];
    if (value <= floor) {
      complete &= std::abs(e.vectors(0, p)) <= kPart;
      continue;
    }
    for (int64_t i = 0; i < k; ++i) out[static_cast<size_t>(i)] += e.vectors(i, p) * e.vectors(0, p) / std::sqrt(value);
  }
  return out;
}

// H^-½ E for the first `size` columns E of the identity, H = MᵀM, by Lanczos: a few steps where M is near a multiple of
// an orthogonal matrix, as it is for related models. Nothing if F32 accuracy is not reached soon.
std::optional<Matrix> inverse_root_by_lanczos(ConstMatrixView m, int64_t size, bool& complete) {
  constexpr int kSteps = 40, kCheckEvery = 4;
  constexpr double kAccuracy = 1e-9;
  Lanczos l;
  l.diagonal.resize(static_cast<size_t>(size));
  l.beta.resize(static_cast<size_t>(size));
  l.basis.push_back(Matrix::zeros(m.cols, size, Space::Host));
  for (int64_t j = 0; j < size; ++j) l.basis[0](j, j) = 1;
  std::vector<std::vector<double>> previous(static_cast<size_t>(size));
  for (int step = 1; step <= std::min<int64_t>(kSteps, m.cols); ++step) {
    extend(l, m);
    if (step % kCheckEvery != 0) continue;
    double change = 0;
    complete = true;
    std::vector<std::vector<double>> coefficients;
    for (size_t j = 0; j < previous.size(); ++j) {
      coefficients.push_back(inverse_root_coefficients(l, j, complete));
      previous[j].resize(coefficients[j].size());
      for (size_t i = 0; i < previous[j].size(); ++i)
        change = std::max(change, std::abs(coefficients[j][i] - previous[j][i]));
    }
    previous = std::move(coefficients);
    if (change > kAccuracy) continue;
    Matrix root = Matrix::zeros(m.cols, size, Space::Host);
    for (size_t i = 0; i < previous[0].size(); ++i) {
      for (int64_t j = 0; j < size; ++j) {
        for (int64_t r = 0; r < m.cols; ++r) root(r, j) += previous[static_cast<size_t>(j)][i] * l.basis[i](r, j);
      }
    }
    return Matrix::copy_of(root, m.space);
  }
  return std::nullopt;
}

// The same by an eigenproblem of size n. Directions in which M vanishes have no polar factor and give zero.
Matrix inverse_root_by_eigh(ConstMatrixView m, int64_t size, bool& complete) {
  Matrix gram(m.cols, m.cols, m.space);
  linalg::syrk(Op::Transpose, 1, m, 0, gram);
  const linalg::Eigh e = linalg::eigh(std::move(gram));
  const Matrix top = Matrix::copy_of(e.vectors.view().block(0, 0, size, m.cols), Space::Host);
  Matrix weighted(m.cols, size, Space::Host);  // Λ^-½ Vᵀ E
  const double floor = std::max(e.values[0], 0.0) * kVanishing;
  complete = true;
  for (int64_t j = 0; j < size; ++j) {
    for (int64_t i = 0; i < m.cols; ++i) {
      const double value = e.values[static_cast<size_t>(i)];
      weighted(i, j) = value > floor ? top(j, i) / std::sqrt(value) : 0.0;
      complete &= value > floor || std::abs(top(j, i)) <= kPart;
    }
  }
  return product(Op::None, Op::None, e.vectors, Matrix::copy_of(weighted, m.space));
}

// The first `size` columns of polar(M) = M (MᵀM)^-½.
Matrix polar_columns(ConstMatrixView m, int64_t size, bool& complete) {
  std::optional<Matrix> root = inverse_root_by_lanczos(m, size, complete);
  if (!root) root = inverse_root_by_eigh(m, size, complete);
  return product(Op::None, Op::None, m, *root);
}

// Newton and Schulz: X ← X − (XXᵀ − I)X/2 goes to polar(M) from singular values in (0, √3), a few steps where all are
// near 1. Nothing where they are not.
std::optional<Matrix> polar_by_products(ConstMatrixView m) {
  constexpr int kSteps = 12;
  const auto n = static_cast<size_t>(m.cols);
  Matrix x = Matrix::copy_of(m, m.space), gram(m.cols, m.cols, m.space), step(m.cols, m.cols, m.space);
  double before = 0;
  for (int i = 0; i < kSteps; ++i) {
    linalg::syrk(Op::None, 1, x, 0, gram);
    linalg::add_to_diagonal(gram, std::vector<double>(n, -1));
    const double departure = linalg::symmetric_norm(gram);
    const bool stays = i > 1 && departure > 0.9 * before;  // a direction that vanishes, or nearly
    if (departure > 0.5 * std::sqrt(static_cast<double>(n)) || (stays && departure > 1e-8)) return std::nullopt;
    before = departure;
    linalg::symm(gram, x, 0, step);
    linalg::add(-0.5, step, x);
    if (departure < 1e-8) return x;  // the step has squared it
  }
  return std::nullopt;
}

}  // namespace

double EnergyBudget::leakage() const {
  return std::max(total - scaling - co_rotation - counter_rotation, 0.0);  // keeps NaN, which it compares with nothing
}

EnergyBudget energy_budget(const linalg::SymmetrySums& sums, double total) {
  return {total, sums.diagonal, sums.symmetric, sums.antisymmetric};
}

double counter_over_co_sd(int64_t n) {
  if (n < 2) return std::numeric_limits<double>::infinity();
  return std::sqrt(8 / (static_cast<double>(n) * static_cast<double>(n - 1)));
}

double leading_block_norm(ConstMatrixView d, ConstMatrixView q, int64_t k) {
  const double all = linalg::norm(d.block(0, 0, d.rows, k));
  const Matrix rest = product(Op::Transpose, Op::None, d.block(0, 0, d.rows, k), q.block(0, k, q.rows, q.cols - k));
  const double outside = linalg::norm(rest);
  return std::sqrt(std::max(0.0, (all - outside) * (all + outside)));
}

double orthogonality_departure(ConstMatrixView q) {
  Matrix gram(q.cols, q.cols, q.space);
  linalg::syrk(Op::Transpose, 1, q, 0, gram);
  linalg::add_to_diagonal(gram, std::vector<double>(static_cast<size_t>(q.cols), -1));
  return linalg::symmetric_norm(gram) / std::sqrt(static_cast<double>(q.cols));
}

PolarFactor common_rotation(ConstMatrixView q1, ConstMatrixView q2) {
  Matrix mean = Matrix::zeros(q1.rows, q1.cols, q1.space);
  linalg::add(0.5, q1, mean);
  linalg::add(0.5, q2, mean);
  if (std::optional<Matrix> q = polar_by_products(mean)) return {*std::move(q), true};
  const linalg::Svd svd = linalg::svd(std::move(mean));
  const int64_t n = q1.cols, kept = std::ranges::count_if(svd.values, [](double value) { return value > 1e-7; });
  const auto block = [n](const Matrix& x, int64_t from, int64_t to) { return x.view().block(0, from, n, to - from); };
  Matrix q = product(Op::None, Op::Transpose, block(svd.u, 0, kept), block(svd.v, 0, kept));
  if (kept == n) return {std::move(q), true};
  const ConstMatrixView lost = block(svd.v, kept, n);
  linalg::gemm(Op::None, Op::Transpose, 1, product(Op::None, Op::None, q2, lost), lost, 1, q);
  return {std::move(q), false};
}

RotationCorner rotation_corner(ConstMatrixView q1, ConstMatrixView q2, int64_t size) {
  RotationCorner corner;
  corner.size = size = std::min(size, q1.cols);
  const Matrix near1 = Matrix::copy_of(q1.block(0, 0, size, size), Space::Host),
               near2 = Matrix::copy_of(q2.block(0, 0, size, size), Space::Host);
  corner.sim_u = corner_of(size, [&](int64_t i, int64_t j) { return std::abs(near1(i, j)); });
  corner.sim_v = corner_of(size, [&](int64_t i, int64_t j) { return std::abs(near2(i, j)); });
  corner.sim_diff =
      corner_of(size, [&](int64_t i, int64_t j) { return std::abs(std::abs(near1(i, j)) - std::abs(near2(i, j))); });
  const ConstMatrixView first1 = q1.block(0, 0, q1.rows, size), first2 = q2.block(0, 0, q2.rows, size);
  corner.i_orth = corner_of(product(Op::Transpose, Op::None, first1, first2));
  Matrix sum = Matrix::copy_of(q1, q1.space);
  linalg::add(1, q2, sum);
  const Matrix polar = polar_columns(sum, size, corner.polar_complete);
  corner.delta_q1 = corner_of(product(Op::Transpose, Op::None, polar, first1));
  corner.delta_q2 = corner_of(product(Op::Transpose, Op::None, polar, first2));
  return corner;
}

}  // namespace gyro
