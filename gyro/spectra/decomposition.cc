#include "gyro/spectra/decomposition.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "gyro/base/random.h"

namespace gyro {
namespace {

using linalg::Op;

constexpr double kUnitRoundoff = 0x1p-53;
constexpr double kInfinity = std::numeric_limits<double>::infinity();

// ‖G V − V Λ‖_F, probed.
double eigen_residual(const Matrix& g, const linalg::Eigh& e) {
  Matrix z = probe_columns(g.rows());
  Matrix vz(z.rows(), kProbes), r(z.rows(), kProbes);
  linalg::gemm(Op::None, Op::None, 1, e.vectors, z, 0, vz);
  linalg::multiply_rows(z, e.values);
  linalg::gemm(Op::None, Op::None, 1, e.vectors, z, 0, r);
  linalg::symm(g, vz, -1, r);
  return probed_norm(r);
}

}  // namespace

Matrix probe_columns(int64_t n) {
  Matrix z(n, kProbes);
  linalg::fill_normal(z, 1, mix64(static_cast<uint64_t>(n)), 0, 0);
  return z;
}

double orthogonality_of(ConstMatrixView q) {
  const Matrix z = probe_columns(q.cols);
  Matrix qz(q.rows, kProbes), r = z.clone();
  linalg::gemm(Op::None, Op::None, 1, q, z, 0, qz);
  linalg::gemm(Op::Transpose, Op::None, 1, q, qz, -1, r);
  return probed_norm(r);
}

double probed_norm(ConstMatrixView rz) {
  return kProbeFactor * linalg::norm(rz) / std::sqrt(double{kProbes});
}

int64_t Decomposition::rank() const {
  if (sigma.empty()) return 0;
  const double threshold = static_cast<double>(m) * 2 * kUnitRoundoff * sigma[0];
  return std::count_if(sigma.begin(), sigma.end(), [&](double s) { return s > threshold; });
}

bool Decomposition::resolved() const {
  return n > 0 && sigma.back() * sigma.back() > 4 * eta;
}

double Decomposition::relative_error(int64_t j) const {
  const double s = sigma[static_cast<size_t>(j)];
  if (s == 0) return kInfinity;
  if (method == Method::Svd) return residual / s + orthogonality;
  return std::min(long_side < 0.5 ? 0.5 * long_side * (1 + long_side) : kInfinity, 0.5 * eta / (s * s)) + orthogonality;
}

bool Decomposition::told_apart(int64_t j) const {
  const double a = sigma[static_cast<size_t>(j)], b = sigma[static_cast<size_t>(j + 1)];
  const double error = method == Method::Svd ? 2 * residual : eta / std::max(a, 1e-300);
  return a - b > error;
}

double Decomposition::polar_error() const {
  if (sigma.empty() || sigma.back() == 0) return kInfinity;
  if (method == Method::Svd) return rank() == n ? residual / sigma.back() + orthogonality : kInfinity;
  // First order: L = L'(I + F/2) with L' orthonormal; the symmetric part of F and the antisymmetric change of the polar
  // factor are orthogonal to each other and each at most ‖F‖/2.
  return long_side < 0.5 ? long_side * (1 + long_side) / std::sqrt(2.0) + orthogonality : kInfinity;
}

Decomposition decompose_gram(const Matrix& g, int64_t m, double norm, double gram_norm_squared) {
  Decomposition d;
  d.m = m;
  d.n = g.rows();
  d.norm = norm;
  linalg::Eigh e = linalg::eigh(g.clone());
  const double top = std::max(e.values.front(), 0.0);
  d.orthogonality = orthogonality_of(e.vectors);
  d.eta = eigen_residual(g, e) + top * d.orthogonality +
          2 * std::sqrt(static_cast<double>(m)) * kUnitRoundoff * gram_norm_squared;
  d.sigma = std::move(e.values);
  for (double& s : d.sigma) s = std::sqrt(std::max(s, 0.0));
  d.short_vectors = std::move(e.vectors);
  linalg::orient_columns(d.short_vectors, {});
  d.long_side = kInfinity;
  return d;
}

LongSideProbe::LongSideProbe(const Decomposition& d) : d_(d), x_(d.n, kProbes), adjoint_(Matrix::zeros(d.n, kProbes)) {
  Matrix scaled = probe_columns(d.n);
  linalg::divide_rows(scaled, d.sigma);
  linalg::gemm(Op::None, Op::None, 1, d.short_vectors, scaled, 0, x_);
}

Matrix LongSideProbe::visit(const Panel& panel) {
  Matrix lz(panel.count, kProbes);
  apply(panel, x_, lz);
  add_adjoint(panel, lz, adjoint_);
  return lz;
}

double LongSideProbe::departure() const {
  Matrix r(d_.n, kProbes);
  linalg::gemm(Op::Transpose, Op::None, 1, d_.short_vectors, adjoint_, 0, r);
  linalg::divide_rows(r, d_.sigma);
  linalg::add(-1, probe_columns(d_.n), r);
  return probed_norm(r);
}

void measure_long_side(const TallWeight& a, Decomposition& d) {
  LongSideProbe probe(d);
  for_each_panel(a, [&](const Panel& panel) { probe.visit(panel); });
  d.long_side = probe.departure();
}

Decomposition decompose_by_gram(const TallWeight& a, Matrix& g) {
  g = Matrix::zeros(a.n, a.n);
  double norm_squared = 0;
  for_each_panel(a, [&](const Panel& panel) {
    norm_squared += linalg::dot(panel.data, panel.data);
    add_gram(panel, g);
  });
  check_finite(*a.weight, norm_squared);
  Decomposition d = decompose_gram(g, a.m, std::sqrt(norm_squared), norm_squared);
  if (d.resolved()) measure_long_side(a, d);
  return d;
}

Decomposition decompose_direct(const TallWeight& a) {
  Decomposition d;
  d.method = Method::Svd;
  d.m = a.m;
  d.n = a.n;
  Matrix dense = to_dense(a);
  d.norm = linalg::norm(dense);
  check_finite(*a.weight, d.norm);
  linalg::Svd svd = linalg::svd(std::move(dense));
  d.sigma = std::move(svd.values);
  d.short_vectors = std::move(svd.v);
  d.long_vectors = std::move(svd.u);
  linalg::orient_columns(d.short_vectors, d.long_vectors);
  d.orthogonality = orthogonality_of(d.short_vectors) + orthogonality_of(d.long_vectors);

  const Matrix z = probe_columns(d.n);
  Matrix x(d.n, kProbes), r(d.m, kProbes);
  linalg::gemm(Op::Transpose, Op::None, 1, d.short_vectors, z, 0, x);
  linalg::multiply_rows(x, d.sigma);
  linalg::gemm(Op::None, Op::None, 1, d.long_vectors, x, 0, r);
  for_each_panel(a, [&](const Panel& panel) {
    const MatrixView part = r.view().block(panel.begin, 0, panel.count, kProbes);
    Matrix az(panel.count, kProbes);
    apply(panel, z, az);
    linalg::add(-1, az, part);
  });
  d.residual = probed_norm(r);
  return d;
}

}  // namespace gyro
