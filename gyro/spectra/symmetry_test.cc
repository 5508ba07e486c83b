// How symmetric a change is, against loops over known singular vectors; what random signs give; which sides move.

#include "gyro/spectra/symmetry.h"

#include <gtest/gtest.h>

#include <cmath>

#include "gyro/spectra/pair.h"
#include "gyro/spectra/test_util.h"
#include "gyro/tensor/narrow.h"

namespace gyro {
namespace {

struct Shape {
  int64_t d_in, d_out;
};
constexpr Shape kShapes[] = {{40, 24}, {24, 40}, {30, 30}};

/// W_b = U Σ Vᵀ with what it is made of.
struct Known {
  Matrix u, v, base;
  std::vector<double> sigma;
};

Known known(Shape s, uint64_t seed = 1, double last = 0.2) {
  const int64_t n = std::min(s.d_in, s.d_out);
  Known k{orthonormal(s.d_in, n, mix64(seed)), orthonormal(s.d_out, n, mix64(seed + 1)), {}, {}};
  k.sigma = linear_spectrum(n, 1, last);
  k.base = compose(k.u, k.sigma, k.v);
  return k;
}

double share(const SymmetryTest& test) {
  return test.product / test.energy;
}
/// Of T/N: negative where the change is more symmetric than chance.
double z_of(const SymmetryTest& test) {
  return -(test.product - test.null * test.energy) / std::sqrt(test.variance);
}
double input(const PairMeasure& m) {
  return m.symmetry.side.input / m.symmetry.whole.energy;
}
double turn(const PairMeasure& m) {
  return m.symmetry.side.turn / m.symmetry.whole.energy;
}
double stretch(const PairMeasure& m) {
  return m.symmetry.side.stretch / m.symmetry.whole.energy;
}

Matrix elementwise(const Matrix& a, const Matrix& b) {
  Matrix out = a.clone();
  for (int64_t i = 0; i < a.rows() * a.cols(); ++i) out.data()[i] *= b.data()[i];
  return out;
}

Matrix residual(const Matrix& base, const Matrix& post) {
  double inner = 0, square = 0;
  for (int64_t i = 0; i < base.rows() * base.cols(); ++i) {
    inner += base.data()[i] * post.data()[i];
    square += base.data()[i] * base.data()[i];
  }
  return combined(1, post, -inner / square, base);
}

/// ρ₀ and T, N by definition, all loops.
struct ByLoops {
  double null = 0, input_null = 0, product = 0, energy = 0, coin = 0;
};

ByLoops by_loops(const Known& k, const Matrix& post) {
  const Matrix e = residual(k.base, post), x = times(transposed(k.u), times(e, k.v));
  ByLoops out;
  const int64_t n = x.rows();
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = 0; j < n; ++j) {
      if (i == j) continue;
      out.product += x(i, j) * x(j, i);
      out.energy += x(i, j) * x(i, j);
      out.coin += 2 * std::pow(x(i, j) * x(j, i), 2);
    }
  }
  double t = 0, total = 0, input_sum = 0;
  for (int64_t b = 0; b < e.cols(); ++b) {
    for (int64_t a = 0; a < e.rows(); ++a) {
      double p = 0, d = 0, lu = 0, lv = 0;
      for (int64_t i = 0; i < n; ++i) {
        p += k.u(a, i) * k.v(b, i);
        d += std::pow(k.u(a, i) * k.v(b, i), 2);
        lu += std::pow(k.u(a, i), 2);
        lv += std::pow(k.v(b, i), 2);
      }
      for (int64_t i = 0; i < n; ++i) {
        for (int64_t j = 0; j < i; ++j) {
          const double one = std::pow(k.u(a, i) * k.v(b, j), 2), other = std::pow(k.u(a, j) * k.v(b, i), 2);
          input_sum += e(a, b) * e(a, b) * (one - other);  // σ_j > σ_i
        }
      }
      t += e(a, b) * e(a, b) * (p * p - d);
      total += e(a, b) * e(a, b) * (lu * lv - d);
    }
  }
  out.null = t / total;
  out.input_null = input_sum / total;
  return out;
}

TEST(Symmetry, IsThatOfExplicitCoordinates) {
  for (const Shape s : kShapes) {
    const Known k = known(s);
    const Matrix z = gaussian(s.d_in, s.d_out, 7);
    for (const Matrix& e : {combined(1, z, 0, z), elementwise(k.base, z), times(random_symmetric(s.d_in, 8), k.base)}) {
      const Matrix post = combined(0.98, k.base, 0.01, e);
      const Symmetry symmetry = compare(k.base, post).symmetry;
      const SymmetryTest& test = symmetry.whole;
      const ByLoops exact = by_loops(k, post);
      EXPECT_NEAR(symmetry.side.input_null, exact.input_null * exact.energy, 1e-9 * exact.energy);
      EXPECT_NEAR(test.product, exact.product, 1e-9 * exact.energy);
      EXPECT_NEAR(test.energy, exact.energy, 1e-9 * exact.energy);
      EXPECT_NEAR(test.null, exact.null, 1e-9);
      EXPECT_NEAR(test.variance, exact.coin, 1e-9 * exact.coin);
    }
  }
}

// The null is the mean over signs of E's entries, and its deviation what they give.
TEST(Symmetry, OfRandomSignsIsTheNull) {
  for (const Shape s : kShapes) {
    const Known k = known(s, 3);
    BaseMatrix base(weight_of(k.base));
    constexpr int kDraws = 150;
    double sum = 0, z_sum = 0, z_square = 0, null = 0, sd = 0;
    for (uint64_t draw = 0; draw < kDraws; ++draw) {
      const Matrix post = combined(1, k.base, 0.02, elementwise(k.base, gaussian(s.d_in, s.d_out, 100 + draw)));
      const SymmetryTest test = base.compare(weight_of(post), {.null_draws = 0}).symmetry.whole;
      sum += share(test) / kDraws;
      null += test.null / kDraws;
      sd += std::sqrt(test.variance) / test.energy / kDraws;
      z_sum += z_of(test) / kDraws;
      z_square += z_of(test) * z_of(test) / kDraws;
    }
    EXPECT_NEAR(sum, null, 4 * sd / std::sqrt(kDraws));
    EXPECT_GT(null, 1.0 / static_cast<double>(std::min(s.d_in, s.d_out)));  // and far from the gaussian one, 0
    EXPECT_LT(std::abs(z_sum), 4 / std::sqrt(kDraws));
    EXPECT_NEAR(z_square, 1, 4 * std::sqrt(2.0 / kDraws) + 0.1);
  }
}

// With more rows than are looked at, ρ₀ is an estimate, whose error is in the variance.
TEST(Symmetry, NullOfSampledRows) {
  for (const Shape s : {Shape{700, 40}, Shape{40, 700}}) {
    const Known k = known(s, 5);
    const Matrix z = gaussian(s.d_in, s.d_out, 6);
    Matrix hot = z.clone();  // a few rows hold nearly all
    for (int64_t i = 0; i < hot.rows(); ++i) {
      for (int64_t j = 0; j < hot.cols(); ++j) hot(i, j) *= i % 97 == 0 || j % 97 == 0 ? 30 : 1;
    }
    for (const Matrix& e : {elementwise(k.base, z), elementwise(k.base, hot), hot.clone()}) {
      const Matrix post = combined(1, k.base, 0.01 / frobenius(e), e);
      const SymmetryTest test = compare(k.base, post).symmetry.whole;
      const ByLoops exact = by_loops(k, post);
      const double error = std::sqrt(test.variance - exact.coin) / exact.energy;
      EXPECT_GT(error, 0);
      EXPECT_LT(error, 0.25 * std::sqrt(exact.coin) / exact.energy);  // adds 3 % to the deviation at most
      EXPECT_NEAR(test.null, exact.null, 4 * error);
    }
  }
}

// Noise that is proportional to the weight, as rounding is, turns nothing, but the gaussian null calls it rotation.
TEST(Symmetry, RoundingIsNoRotation) {
  int gauss = 0, own = 0;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const Known k = known({64, 64}, 10 + seed, 0.01);
    const Matrix post = combined(1, k.base, 0.01, elementwise(k.base, gaussian(64, 64, 20 + seed)));
    const PairMeasure m = compare(k.base, post);
    const double ratio = m.energy.counter_rotation / m.energy.co_rotation;
    gauss += (ratio - 1) / counter_over_co_sd(64) < -1.5 ? 1 : 0;
    own += z_of(m.symmetry.whole) < -1.5 ? 1 : 0;
  }
  EXPECT_GE(gauss, 5);
  EXPECT_LE(own, 4);
}

// A turn of both frames as one, of one side alone, a stretch of one side, and noise.
TEST(Side, TellsTurnsFromStretches) {
  for (const Shape s : kShapes) {
    const Known k = known(s, 30);
    const int64_t n = std::min(s.d_in, s.d_out);
    const Matrix q = small_rotation(n, 1e-3, 31), stretcher = random_symmetric(n, 32);
    const Matrix strained = combined(1, small_rotation(n, 0, 1), 1e-4, stretcher);

    const PairMeasure joint = compare(k.base, compose(times(k.u, q), k.sigma, times(k.v, q)));
    EXPECT_NEAR(turn(joint), 1, 0.08);  // 276 pairs, whose generators are random
    EXPECT_NEAR(stretch(joint), 1 - turn(joint), 1e-6);
    EXPECT_NEAR(input(joint), 0, 0.02);
    EXPECT_NEAR(share(joint.symmetry.whole), 1, 1e-6);

    const PairMeasure left = compare(k.base, compose(times(k.u, q), k.sigma, k.v)),
                      right = compare(k.base, compose(k.u, k.sigma, times(k.v, q))),
                      longer = compare(k.base, compose(times(k.u, strained), k.sigma, k.v)),
                      wider = compare(k.base, compose(k.u, k.sigma, times(k.v, strained)));
    for (const PairMeasure* one : {&left, &longer}) EXPECT_GT(input(*one), 0.3);
    for (const PairMeasure* one : {&right, &wider}) EXPECT_LT(input(*one), -0.3);
    for (const PairMeasure* one : {&left, &right}) {
      EXPECT_LT(stretch(*one), -0.6);
      EXPECT_NEAR(turn(*one), 0, 0.08);
    }
    for (const PairMeasure* one : {&longer, &wider}) {
      EXPECT_GT(stretch(*one), 0.6);
      EXPECT_NEAR(turn(*one), 0, 0.08);
    }
  }
}

TEST(Side, OfNoiseIsChance) {
  const Known k = known({40, 30}, 40);
  BaseMatrix base(weight_of(k.base));
  constexpr int kDraws = 100;
  double squares[3] = {}, means[3] = {};
  for (uint64_t draw = 0; draw < kDraws; ++draw) {
    const Matrix z = gaussian(40, 30, 200 + draw), post = combined(0.9, k.base, 0.01, z);
    const SideSums side = base.compare(weight_of(post), {.null_draws = 0}).symmetry.side;
    const double zs[] = {side.input / std::sqrt(side.input_variance), side.turn / std::sqrt(side.turn_variance),
                         side.stretch / std::sqrt(side.stretch_variance)};
    for (int i = 0; i < 3; ++i) {
      means[i] += zs[i] / kDraws;
      squares[i] += zs[i] * zs[i] / kDraws;
    }
  }
  for (int i = 0; i < 3; ++i) {
    EXPECT_LT(std::abs(means[i]), 0.4) << i;
    EXPECT_NEAR(squares[i], 1, 4 * std::sqrt(2.0 / kDraws)) << i;
  }
}

TEST(Side, IsUndefinedWhereAllSigmaAreEqual) {
  const Known k = known({20, 12}, 41, 1);
  const SideSums side = compare(k.base, combined(1, k.base, 0.01, gaussian(20, 12, 42))).symmetry.side;
  EXPECT_TRUE(std::isnan(side.turn) && std::isnan(side.stretch));
}

/// diag(1 + size z) of a side.
std::vector<double> factors(int64_t count, double size, uint64_t seed) {
  const Matrix z = gaussian(count, 1, seed);
  std::vector<double> out;
  for (int64_t i = 0; i < count; ++i) out.push_back(1 + size * z(i, 0));
  return out;
}

Matrix scaled_sides(const Matrix& base, const std::vector<double>& rows, const std::vector<double>& columns) {
  Matrix out = base.clone();
  for (int64_t j = 0; j < base.cols(); ++j) {
    for (int64_t i = 0; i < base.rows(); ++i)
      out(i, j) *= rows[static_cast<size_t>(i)] * columns[static_cast<size_t>(j)];
  }
  return out;
}

// Rows and columns that were scaled look like co-rotation, and nothing of it is left once they are fitted.
TEST(Rescaled, ScaledRowsAndColumnsLeaveNothing) {
  for (const Shape s : {Shape{120, 80}, Shape{80, 120}}) {
    const Known k = known(s, 50);
    const Matrix plain = scaled_sides(k.base, factors(s.d_in, 0.03, 51), factors(s.d_out, 1e-9, 52));
    const Symmetry bare = compare(k.base, plain).symmetry;
    EXPECT_LT(z_of(bare.whole), -20);
    EXPECT_TRUE(std::isnan(bare.rescaled.product));  // what is left is the fit's own error
    const Matrix both = scaled_sides(k.base, factors(s.d_in, 0.01, 51), factors(s.d_out, 0.01, 52));
    const Symmetry noisy = compare(k.base, combined(1, both, 0.0005, gaussian(s.d_in, s.d_out, 53))).symmetry;
    EXPECT_LT(z_of(noisy.whole), -20);
    EXPECT_GT(noisy.fitted, 0.6 * noisy.whole.energy);
    EXPECT_GT(z_of(noisy.rescaled), -4);
  }
}

TEST(Rescaled, IsTheLeastSquaresFit) {
  const Shape s{14, 9};
  const Known k = known(s, 60);
  const Matrix post =
      combined(0.9, scaled_sides(k.base, factors(14, 0.1, 61), factors(9, 0.1, 62)), 0.03, gaussian(14, 9, 63));
  const Symmetry symmetry = compare(k.base, post).symmetry;
  // Gradient descent on Σ (E − a W − W b)² by loops, to the bottom.
  const Matrix e = residual(k.base, post);
  std::vector<double> a(14), b(9);
  for (int step = 0; step < 4000; ++step) {
    for (int64_t i = 0; i < 14; ++i) {
      double top = 0, bottom = 0;
      for (int64_t j = 0; j < 9; ++j) {
        const double w = k.base(i, j);
        top += w * (e(i, j) - w * b[static_cast<size_t>(j)]);
        bottom += w * w;
      }
      a[static_cast<size_t>(i)] = top / bottom;
    }
    for (int64_t j = 0; j < 9; ++j) {
      double top = 0, bottom = 0;
      for (int64_t i = 0; i < 14; ++i) {
        const double w = k.base(i, j);
        top += w * (e(i, j) - w * a[static_cast<size_t>(i)]);
        bottom += w * w;
      }
      b[static_cast<size_t>(j)] = top / bottom;
    }
  }
  Matrix rest = e.clone();
  for (int64_t j = 0; j < 9; ++j) {
    for (int64_t i = 0; i < 14; ++i)
      rest(i, j) -= (a[static_cast<size_t>(i)] + b[static_cast<size_t>(j)]) * k.base(i, j);
  }
  EXPECT_NEAR(symmetry.fitted, std::pow(frobenius(e), 2) - std::pow(frobenius(rest), 2), 1e-6 * symmetry.fitted);
  const Matrix x = times(transposed(k.u), times(rest, k.v));
  double product = 0, energy = 0;
  for (int64_t i = 0; i < 9; ++i) {
    for (int64_t j = 0; j < 9; ++j) {
      if (i == j) continue;
      product += x(i, j) * x(j, i);
      energy += x(i, j) * x(i, j);
    }
  }
  EXPECT_NEAR(symmetry.rescaled.product, product, 1e-3 * energy);
  EXPECT_NEAR(symmetry.rescaled.energy, energy, 1e-3 * energy);
}

// Of noise the fit takes m + n numbers, which are symmetric: its null is shifted by as much, whatever the noise's
// sizes.
TEST(Rescaled, NullOfNoise) {
  for (const Shape s : {Shape{60, 36}, Shape{36, 60}, Shape{48, 48}}) {
    const Known k = known(s, 70);
    BaseMatrix base(weight_of(k.base));
    for (const bool proportional : {false, true}) {
      constexpr int kDraws = 100;
      double sum = 0, square = 0, shift = 0;
      for (uint64_t draw = 0; draw < kDraws; ++draw) {
        const Matrix z = gaussian(s.d_in, s.d_out, 300 + draw), e = proportional ? elementwise(k.base, z) : z.clone();
        const Matrix post = combined(1, k.base, 0.01, e);
        const Symmetry symmetry = base.compare(weight_of(post), {.null_draws = 0}).symmetry;
        const double z_rest = z_of(symmetry.rescaled);
        shift += (symmetry.rescaled.null - symmetry.whole.null) / kDraws;
        sum += z_rest / kDraws;
        square += z_rest * z_rest / kDraws;
      }
      EXPECT_LT(shift, -1.0 / static_cast<double>(std::min(s.d_in, s.d_out)));
      EXPECT_LT(std::abs(sum), 0.45) << proportional;  // ± 0.1 of chance, the rest of second order in 1/n
      EXPECT_NEAR(square - sum * sum, 1, 4 * std::sqrt(2.0 / kDraws)) << proportional;
    }
  }
}

TEST(Rescaled, ARealTurnSurvives) {
  const Known k = known({90, 60}, 80);
  const Matrix q = small_rotation(60, 0.02, 81), joint = compose(times(k.u, q), k.sigma, times(k.v, q));
  const double size = frobenius(combined(1, joint, -1, k.base)) / std::sqrt(90.0 * 60);
  const PairMeasure m = compare(k.base, combined(1, joint, 2 * size, gaussian(90, 60, 82)));
  EXPECT_LT(z_of(m.symmetry.whole), -6);
  EXPECT_LT(z_of(m.symmetry.rescaled), -6);
  EXPECT_GT(m.symmetry.side.turn, 5 * std::sqrt(m.symmetry.side.turn_variance));
}

// M W with M symmetric: ‖A‖²/‖S‖² is Σ(σ_i − σ_j)²/Σ(σ_i + σ_j)²; antisymmetric: its inverse.
TEST(Symmetry, OfOneSidedChanges) {
  const Known k = known({60, 60}, 90, 1e-3);
  const Matrix g = random_symmetric(60, 91), h = gaussian(60, 60, 92), turned = combined(1, h, -1, transposed(h));
  const auto ratio = [&](const Matrix& m) {
    const EnergyBudget e = compare(k.base, combined(1, k.base, 1e-4, times(m, k.base))).energy;
    return e.counter_rotation / e.co_rotation;
  };
  EXPECT_NEAR(ratio(g), 1.0 / 7, 0.03);
  EXPECT_NEAR(ratio(turned), 7, 1.5);
}

}  // namespace
}  // namespace gyro
