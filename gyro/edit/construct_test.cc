#include "gyro/edit/construct.h"

#include <gtest/gtest.h>

#include <cmath>

#include "gyro/spectra/reference_svd.h"
#include "gyro/spectra/test_util.h"

namespace gyro {
namespace {

constexpr double kClose = 1e-9;  // of well-conditioned matrices; the contract is 1e-7
const std::pair<int64_t, int64_t> kShapes[] = {{14, 14}, {22, 10}, {10, 22}};

/// A pair like base and post of one shape, owned.
struct Pair {
  Matrix base, post;
  Pair(int64_t d_in, int64_t d_out, uint64_t seed, double kappa = 20) {
    const int64_t n = std::min(d_in, d_out);
    base = with_spectrum(d_in, d_out, geometric_spectrum(n, kappa), seed);
    const Matrix turn = small_rotation(d_in, 0.3, seed + 1);
    const double change = 0.02 * frobenius(base) / std::sqrt(static_cast<double>(d_in * d_out));
    post = combined(0.97, times(turn, base), change, gaussian(d_in, d_out, seed + 2));
  }
  Matrix build(const Construction& what) const { return build(what, base, post); }
  static Matrix build(const Construction& what, const Matrix& base, const Matrix& post) {
    const Weight base_weight = weight_of(base, "base"), post_weight = weight_of(post, "post");
    const auto [b, p] = factorize(base_weight, post_weight);
    return construct(what, b, p);
  }
};

void expect_same(ConstMatrixView found, ConstMatrixView expected, double relative = kClose) {
  ASSERT_EQ(found.rows, expected.rows);
  ASSERT_EQ(found.cols, expected.cols);
  EXPECT_LT(frobenius(combined(1, found, -1, expected)), relative * frobenius(expected));
}

Construction of(Operation operation, Side side = Side::Out) {
  Construction what;
  what.operation = operation;
  what.side = side;
  return what;
}

Construction at(double t) {
  Construction what = of(Operation::Interpolate);
  what.t = t;
  return what;
}

/// The SVD of the tests, as matrices.
struct Parts {
  Matrix u, v;
  std::vector<double> sigma;
  explicit Parts(const Matrix& w) {
    const auto svd = reference_svd<long double>(w);
    const auto n = static_cast<int64_t>(svd.sigma.size());
    u = Matrix(w.rows(), n);
    v = Matrix(w.cols(), n);
    for (int64_t j = 0; j < n; ++j) {
      const auto column = static_cast<size_t>(j);
      sigma.push_back(static_cast<double>(svd.sigma[column]));
      for (int64_t i = 0; i < w.rows(); ++i) u(i, j) = static_cast<double>(svd.u[column][static_cast<size_t>(i)]);
      for (int64_t i = 0; i < w.cols(); ++i) v(i, j) = static_cast<double>(svd.v[column][static_cast<size_t>(i)]);
    }
  }
  Matrix polar() const { return times(u, transposed(v)); }
};

TEST(Construct, RestoreIsThePolarForm) {
  for (const auto& [d_in, d_out] : kShapes) {
    const Pair pair(d_in, d_out, 10);
    const Parts b(pair.base), p(pair.post);
    // (W_p W_pᵀ)^½ P_b and P_b (W_pᵀ W_p)^½: no singular vector of the base, no sign.
    expect_same(pair.build(of(Operation::Restore, Side::Out)), times(compose(p.u, p.sigma, p.u), b.polar()));
    expect_same(pair.build(of(Operation::Restore, Side::In)), times(b.polar(), compose(p.v, p.sigma, p.v)));
  }
}

TEST(Construct, RestoreByItsEquation) {
  for (const auto& [d_in, d_out] : kShapes) {
    const Pair pair(d_in, d_out, 20);
    const Parts b(pair.base), p(pair.post);
    const Matrix v11 = times(b.v, times(transposed(b.u), p.u)), u16 = times(b.u, times(transposed(b.v), p.v));
    expect_same(pair.build(of(Operation::Restore, Side::Out)), compose(p.u, p.sigma, v11));
    expect_same(pair.build(of(Operation::Restore, Side::In)), compose(u16, p.sigma, p.v));
  }
}

TEST(Construct, ReplaceAndTransplantByTheirEquations) {
  for (const auto& [d_in, d_out] : kShapes) {
    const Pair pair(d_in, d_out, 30);
    const Parts b(pair.base), p(pair.post);
    Construction replace = of(Operation::Replace);
    replace.scale = 0.9;
    expect_same(pair.build(replace), combined(0.9, compose(p.u, b.sigma, p.v), 0, pair.base));
    expect_same(pair.build(of(Operation::TransplantRotation)), compose(p.u, b.sigma, p.v));
    expect_same(pair.build(of(Operation::TransplantSigma)), compose(b.u, p.sigma, b.v));
  }
}

/// Ablations by their equations, pairs flipped as `sign` says; the sign of column j is free otherwise.
TEST(Construct, AlignedAblationByItsEquation) {
  for (const auto& [d_in, d_out] : kShapes) {
    const Pair pair(d_in, d_out, 40);
    const Parts b(pair.base), p(pair.post);
    std::vector<double> sigma = p.sigma;
    for (int64_t j = 0; j < b.u.cols(); ++j) {
      double agreement = 0;
      for (int64_t i = 0; i < d_in; ++i) agreement += b.u(i, j) * p.u(i, j);
      for (int64_t i = 0; i < d_out; ++i) agreement += b.v(i, j) * p.v(i, j);
      if (agreement < 0) sigma[static_cast<size_t>(j)] *= -1;
    }
    for (const Side side : {Side::Out, Side::In}) {
      Construction what = of(Operation::Ablate, side);
      what.align_signs = true;
      expect_same(pair.build(what), side == Side::Out ? compose(p.u, sigma, b.v) : compose(b.u, sigma, p.v), 1e-8);
    }
  }
}

TEST(Construct, PlainAblationFollowsTheSignRule) {
  for (const auto& [d_in, d_out] : kShapes) {
    const Pair pair(d_in, d_out, 50);
    Parts b(pair.base), p(pair.post);
    for (Parts* parts : {&b, &p}) {
      Matrix& side = d_in >= d_out ? parts->v : parts->u;
      for (int64_t j = 0; j < side.cols(); ++j) {
        double largest = 0;
        for (int64_t i = 0; i < side.rows(); ++i)
          if (std::abs(side(i, j)) > std::abs(largest)) largest = side(i, j);
        if (largest > 0) continue;
        for (Matrix* m : {&parts->u, &parts->v})
          for (int64_t i = 0; i < m->rows(); ++i) (*m)(i, j) *= -1;
      }
    }
    expect_same(pair.build(of(Operation::Ablate, Side::Out)), compose(p.u, p.sigma, b.v), 1e-8);
    expect_same(pair.build(of(Operation::Ablate, Side::In)), compose(b.u, p.sigma, p.v), 1e-8);
  }
}

TEST(Construct, NothingHappensBetweenAMatrixAndItself) {
  for (const auto& [d_in, d_out] : kShapes) {
    const Pair pair(d_in, d_out, 60);
    for (const Operation operation : {Operation::Replace, Operation::Ablate, Operation::Restore,
                                      Operation::TransplantSigma, Operation::TransplantRotation, Operation::Noise}) {
      for (const Side side : {Side::Out, Side::In}) {
        Construction what = of(operation, side);
        expect_same(Pair::build(what, pair.base, pair.base), pair.base);
        what.align_signs = true;
        expect_same(Pair::build(what, pair.base, pair.base), pair.base);
      }
    }
    for (const double t : {-0.5, 0.0, 0.3, 1.0}) expect_same(Pair::build(at(t), pair.base, pair.base), pair.base, 1e-7);
  }
}

TEST(Construct, NegatedPost) {
  // Sign-free constructions commute with the sign of the whole matrix; an aligned ablation sees through it.
  const Pair pair(16, 12, 70);
  const Matrix negated = combined(-1, pair.post, 0, pair.post);
  const auto check = [&](const Construction& what, double sign) {
    const Matrix expected = pair.build(what);
    expect_same(Pair::build(what, pair.base, negated), combined(sign, expected, 0, expected), 1e-8);
  };
  for (const Side side : {Side::Out, Side::In}) check(of(Operation::Restore, side), 1);  // (W_p W_pᵀ)^½ has no sign
  check(of(Operation::Replace), -1);
  check(of(Operation::TransplantSigma), 1);
  check(of(Operation::TransplantRotation), -1);
}

TEST(Construct, HardSpectraByDirectSvd) {
  for (const auto& [d_in, d_out] : kShapes) {
    const Pair pair(d_in, d_out, 80, 1e6);
    const Parts b(pair.base), p(pair.post);
    expect_same(pair.build(of(Operation::Restore, Side::Out)), times(compose(p.u, p.sigma, p.u), b.polar()), 1e-7);
    expect_same(pair.build(of(Operation::Restore, Side::In)), times(b.polar(), compose(p.v, p.sigma, p.v)), 1e-7);
  }
}

// Interpolate

TEST(Interpolate, Ends) {
  for (const auto& [d_in, d_out] : kShapes) {
    const Pair pair(d_in, d_out, 90);
    expect_same(pair.build(at(0)), pair.base, 1e-8);
    expect_same(pair.build(at(1)), pair.post, 1e-8);
  }
}

TEST(Interpolate, Symmetric) {
  for (const auto& [d_in, d_out] : kShapes) {
    const Pair pair(d_in, d_out, 100);
    for (const double t : {0.2, 0.5, 0.9}) expect_same(pair.build(at(t)), Pair::build(at(1 - t), pair.post, pair.base));
  }
}

TEST(Interpolate, TransposedPairGivesTheTransposedPath) {
  const Pair pair(20, 8, 110);
  const Matrix turned = Pair::build(at(0.4), transposed(pair.base), transposed(pair.post));
  expect_same(transposed(turned), pair.build(at(0.4)));
}

TEST(Interpolate, HalfOfAPlantedRotation) {
  const Matrix base = with_spectrum(12, 12, linear_spectrum(12, 2, 1), 120), half = small_rotation(12, 0.3, 121);
  const Matrix post = times(half, times(half, base));
  expect_same(Pair::build(at(0.5), base, post), times(half, base));
}

TEST(Interpolate, SpansTurnByTheirPrincipalAngles) {
  // The long-side vectors leave their span by angles of their own: L cosθ + M sinθ, M at right angles to L.
  const Matrix frame = orthonormal(20, 12, 130), s = orthonormal(6, 6, 131);
  const std::vector<double> sigma = linear_spectrum(6, 3, 1), angles = {0.1, 0.4, 0.8, 1.1, 0.5, 1e-9};
  const auto turned = [&](double t) {
    Matrix l(20, 6);
    for (int64_t j = 0; j < 6; ++j) {
      const double angle = t * angles[static_cast<size_t>(j)];
      for (int64_t i = 0; i < 20; ++i) l(i, j) = frame(i, j) * std::cos(angle) + frame(i, j + 6) * std::sin(angle);
    }
    return compose(l, sigma, s);
  };
  for (const double t : {0.25, 0.5, 0.75}) expect_same(Pair::build(at(t), turned(0), turned(1)), turned(t));
}

TEST(Interpolate, SingularValuesGoGeometrically) {
  const Matrix u = orthonormal(15, 7, 140), v = orthonormal(7, 7, 141);
  const std::vector<double> from = linear_spectrum(7, 4, 1);
  std::vector<double> to = from, between;
  for (size_t j = 0; j < 7; ++j) {
    to[j] *= 1 + 0.03 * static_cast<double>(j);
    between.push_back(std::pow(from[j], 0.7) * std::pow(to[j], 0.3));
  }
  expect_same(Pair::build(at(0.3), compose(u, from, v), compose(u, to, v)), compose(u, between, v));
}

TEST(Interpolate, PathOfAScalarMultiple) {
  const Matrix base = with_spectrum(10, 6, linear_spectrum(6, 2, 1), 150);
  expect_same(Pair::build(at(0.5), base, combined(4, base, 0, base)), combined(2, base, 0, base));
}

// Noise

TEST(Noise, HasTheNormOfTheChange) {
  const Pair pair(40, 30, 160);
  const Weight base = weight_of(pair.base), post = weight_of(pair.post);
  const Matrix one = construct_noise(base, post, 1), again = construct_noise(base, post, 1),
               other = construct_noise(base, post, 2);
  const double change = frobenius(combined(1, pair.post, -1, pair.base));
  EXPECT_NEAR(frobenius(combined(1, one, -1, pair.base)) / change, 1, 1e-12);
  EXPECT_EQ(frobenius(combined(1, one, -1, again)), 0);
  EXPECT_NEAR(frobenius(combined(1, one, -1, other)) / change, std::sqrt(2.0), 0.15);
}

}  // namespace
}  // namespace gyro
