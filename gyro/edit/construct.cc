#include "gyro/edit/construct.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "gyro/edit/copy.h"
#include "gyro/edit/polar_path.h"
#include "gyro/linalg/linalg.h"
#include "gyro/spectra/null_model.h"

namespace gyro {
namespace {

using linalg::Op;
using linalg::product;

// L of `f` with singular values `sigma` and the short-side vectors of `other`: L diag(sigma) S_otherᵀ.
Matrix recombine(const Factors& f, const std::vector<double>& sigma, const Factors& other) {
  Matrix m = linalg::transposed(other.svd.short_vectors);
  linalg::multiply_rows(m, sigma);
  return times_long(f, m);
}

// sign(u_b·u_p + v_b·v_p) of each pair.
std::vector<double> alignment(const Factors& base, const Factors& post) {
  std::vector<double> signs = linalg::diagonal(long_rotation(base, post));
  const std::vector<double> q_short = linalg::diagonal(short_rotation(base, post));
  for (size_t j = 0; j < signs.size(); ++j) signs[j] = signs[j] + q_short[j] < 0 ? -1 : 1;
  return signs;
}

// Whether the named side (U of W is 'in', V is 'out') is the long side of A.
bool is_long(Side side, const Factors& f) {
  return (side == Side::Out) == f.a.transposed;
}

Matrix ablate(const Construction& what, const Factors& base, const Factors& post) {
  std::vector<double> sigma = post.svd.sigma;
  if (what.align_signs) {
    const std::vector<double> signs = alignment(base, post);
    for (size_t j = 0; j < sigma.size(); ++j) sigma[j] *= signs[j];
  }
  return is_long(what.side, base) ? recombine(base, sigma, post) : recombine(post, sigma, base);
}

// Eq. 11 on the short side and eq. 16 on the long one are L_p Σ_p (L_pᵀ L_b) S_bᵀ; the others L_b (S_bᵀ S_p) Σ_p S_pᵀ.
Matrix restore(const Construction& what, const Factors& base, const Factors& post) {
  if (is_long(what.side, base)) {
    Matrix rotated = linalg::transposed(post.svd.short_vectors);
    linalg::multiply_rows(rotated, post.svd.sigma);
    return times_long(base, product(Op::None, Op::None, short_rotation(base, post), rotated));
  }
  Matrix m = product(Op::Transpose, Op::Transpose, long_rotation(base, post), base.svd.short_vectors);
  linalg::multiply_rows(m, post.svd.sigma);
  return times_long(post, m);
}

Matrix construct_exactly(const Construction& what, const Factors& base, const Factors& post) {
  switch (what.operation) {
    case Operation::Replace: {
      std::vector<double> sigma = base.svd.sigma;
      for (double& s : sigma) s *= what.scale;
      return recombine(post, sigma, post);
    }
    case Operation::Ablate:
      return ablate(what, base, post);
    case Operation::Restore:
      return restore(what, base, post);
    case Operation::TransplantSigma:
      return recombine(base, post.svd.sigma, base);
    case Operation::TransplantRotation:
      return recombine(post, base.svd.sigma, post);
    case Operation::Interpolate:
      return interpolate(what.t, base, post);
    case Operation::Noise:
      return construct_noise(*base.a.weight, *post.a.weight, what.seed);
  }
  throw std::logic_error("construct: no such operation");
}

}  // namespace

Matrix construct(const Construction& what, const Factors& base, const Factors& post) {
  Matrix out = construct_exactly(what, base, post);
  if (!what.as_noise) return out;
  const Weight& weight = *post.a.weight;
  return noise_weight(weight, 1, std::sqrt(squared_distance(as_weight(out, ""), weight)), what.seed);
}

Matrix construct_noise(const Weight& base, const Weight& post, uint64_t seed) {
  return noise_weight(base, 1, std::sqrt(squared_distance(base, post)), seed);
}

}  // namespace gyro
