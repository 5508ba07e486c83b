#include "gyro/spectra/factors.h"

#include <cmath>
#include <utility>

#include "gyro/linalg/linalg.h"

namespace gyro {
namespace {

using linalg::Op;
using linalg::product;
constexpr double kPolarTolerance = 1e-7;

bool exact_enough(const Decomposition& d) {
  return d.resolved() && d.polar_error() <= kPolarTolerance;
}

Factors of_full_rank(Factors f) {
  const Decomposition& d = f.svd;
  if (d.rank() < d.n) {
    throw RankDeficient(f.a.weight->name,
                        fmt::format("has rank {} of {}: its singular vectors are not determined", d.rank(), d.n));
  }
  return f;
}

}  // namespace

Factors factorize_any(const Weight& weight) {
  const TallWeight a = as_tall(weight);
  Matrix gram;
  Decomposition d = decompose_by_gram(a, gram);
  return {a, exact_enough(d) ? std::move(d) : decompose_direct(a)};
}

Factors factorize_directly(const Weight& weight) {
  const TallWeight a = as_tall(weight);
  return {a, decompose_direct(a)};
}

Factors factorize(const Weight& weight) {
  return of_full_rank(factorize_any(weight));
}

std::pair<Factors, Factors> factorize(const Weight& base, const Weight& post) {
  std::pair<Factors, Factors> both{factorize(base), factorize(post)};
  if (both.first.svd.method == both.second.svd.method) return both;
  Factors& gram = both.first.svd.method == Method::Gram ? both.first : both.second;
  gram = of_full_rank(factorize_directly(*gram.a.weight));
  return both;
}

Matrix short_rotation(const Factors& base, const Factors& post) {
  return product(Op::Transpose, Op::None, base.svd.short_vectors, post.svd.short_vectors);
}

Matrix long_rotation(const Factors& base, const Factors& post) {
  if (base.svd.method == Method::Svd)
    return product(Op::Transpose, Op::None, base.svd.long_vectors, post.svd.long_vectors);
  Matrix cross = Matrix::zeros(base.a.n, base.a.n);
  for_each_panel(base.a, post.a, [&](const Panel& b, const Panel& p) { add_cross(b, p, cross); });
  Matrix q = product(Op::None, Op::None, product(Op::Transpose, Op::None, base.svd.short_vectors, cross),
                     post.svd.short_vectors);
  linalg::divide_rows(q, base.svd.sigma);
  linalg::divide_columns(q, post.svd.sigma);
  return q;
}

Matrix times_long(const Factors& f, ConstMatrixView m) {
  const TallWeight& a = f.a;
  Matrix out(a.transposed ? a.n : a.m, a.transposed ? a.m : a.n);
  if (f.svd.method == Method::Svd) {
    if (a.transposed) {
      linalg::gemm(Op::Transpose, Op::Transpose, 1, m, f.svd.long_vectors, 0, out);
    } else {
      linalg::gemm(Op::None, Op::None, 1, f.svd.long_vectors, m, 0, out);
    }
    return out;
  }
  Matrix scaled = Matrix::copy_of(m, m.space);
  linalg::divide_rows(scaled, f.svd.sigma);
  const Matrix k = product(Op::None, Op::None, f.svd.short_vectors, scaled);  // L M = A (S Σ⁻¹ M)
  for_each_panel(a, [&](const Panel& panel) {
    if (a.transposed) {
      linalg::gemm(Op::Transpose, Op::None, 1, k, panel.data, 0, out.view().block(0, panel.begin, a.n, panel.count));
    } else {
      linalg::gemm(Op::None, Op::None, 1, panel.data, k, 0, out.view().block(panel.begin, 0, panel.count, a.n));
    }
  });
  return out;
}

}  // namespace gyro
