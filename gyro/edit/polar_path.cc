#include "gyro/edit/polar_path.h"

#include <algorithm>
#include <cmath>

#include "gyro/linalg/linalg.h"
#include "gyro/linalg/orthogonal_power.h"

namespace gyro {
namespace {

using linalg::Op;
using linalg::product;

// V diag(values) Vᵀ.
Matrix rebuild(ConstMatrixView v, const std::vector<double>& values) {
  Matrix scaled = Matrix::copy_of(v, v.space);
  linalg::multiply_columns(scaled, values);
  return product(Op::None, Op::Transpose, scaled, v);
}

// exp((1−t) log H_b + t log H_p) with H = S Σ Sᵀ.
Matrix log_mean(double t, const Factors& base, const Factors& post) {
  const auto log_of = [](const Factors& f, double share) {
    std::vector<double> logs = f.svd.sigma;
    for (double& s : logs) s = share * std::log(s);
    return rebuild(f.svd.short_vectors, logs);
  };
  Matrix sum = log_of(base, 1 - t);
  linalg::add(1, log_of(post, t), sum);
  linalg::Eigh e = linalg::eigh(std::move(sum));
  for (double& value : e.values) value = std::exp(value);
  return rebuild(e.vectors, e.values);
}

// How P(t) is made of P_b and P_p: P(t) = P_b from_base + P_p from_post.
struct Geodesic {
  Matrix from_base, from_post;
};

// P_bᵀP_p = Y cosΘ Yᵀ C with C orthogonal. P_p Cᵀ is then reached from P_b by turning its span alone, by the principal
// angles Θ, and the rest of the way is C.
Geodesic polar_geodesic(double t, Matrix&& overlap) {
  const linalg::Svd svd = linalg::svd(std::move(overlap));  // Y cosΘ Zᵀ, C = Y Zᵀ
  const Matrix c = product(Op::None, Op::Transpose, svd.u, svd.v);
  const Matrix c_power = moved_to(c.space(), linalg::orthogonal_power(Matrix::copy_of(c, Space::Host), t));
  std::vector<double> base_part, post_part;
  for (const double value : svd.values) {
    const double angle = std::acos(std::min(value, 1.0));
    const bool small = angle < 1e-7;  // acos cannot tell smaller ones from rounding
    const double ratio = small ? t : std::sin(t * angle) / std::sin(angle);
    post_part.push_back(ratio);
    base_part.push_back(small ? 1 - t : std::cos(t * angle) - std::cos(angle) * ratio);
  }
  Geodesic path;
  path.from_base = product(Op::None, Op::None, rebuild(svd.u, base_part), c_power);
  path.from_post = product(Op::Transpose, Op::None, c, product(Op::None, Op::None, rebuild(svd.u, post_part), c_power));
  return path;
}

}  // namespace

Matrix interpolate(double t, const Factors& base, const Factors& post) {
  // P_bᵀP_p = S_b (L_bᵀL_p) S_pᵀ.
  Matrix overlap =
      product(Op::None, Op::Transpose, product(Op::None, Op::None, base.svd.short_vectors, long_rotation(base, post)),
              post.svd.short_vectors);
  const Geodesic path = polar_geodesic(t, std::move(overlap));
  const Matrix h = log_mean(t, base, post);
  const auto part = [&](const Factors& f, const Matrix& weight) {  // P weight H = L (Sᵀ weight H)
    return times_long(f, product(Op::Transpose, Op::None, f.svd.short_vectors, product(Op::None, Op::None, weight, h)));
  };
  Matrix out = part(base, path.from_base);
  linalg::add(1, part(post, path.from_post), out);
  return out;
}

}  // namespace gyro
