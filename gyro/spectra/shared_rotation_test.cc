#include "gyro/spectra/shared_rotation.h"

#include <gtest/gtest.h>

#include <cmath>

#include "gyro/spectra/moments.h"
#include "gyro/spectra/reference_svd.h"
#include "gyro/spectra/rotation.h"
#include "gyro/spectra/test_util.h"

namespace gyro {
namespace {

const SharedRotationOptions kNoNull{0, 0};

RotationPair measured(const Matrix& base, const Matrix& post, const Matrix& other,
                      const SharedRotationOptions& options = kNoNull) {
  const Weight b = weight_of(base, "base.weight"), p = weight_of(post, "post.weight"),
               o = weight_of(other, "other.weight");
  return SharedRotation(b, p, options).compare(o);
}

Matrix identity(int64_t n) {
  Matrix out = Matrix::zeros(n, n);
  for (int64_t i = 0; i < n; ++i) out(i, i) = 1;
  return out;
}

double length(const Matrix& a, const Matrix& b) {
  return frobenius(combined(1, a, -1, b));
}

/// The correlation of the entries off the diagonals of a and b, and its deviation under coins.
std::pair<double, double> off_diagonal_correlation(const Matrix& a, const Matrix& b) {
  double ab = 0, aa = 0, bb = 0, squares = 0;
  for (int64_t i = 0; i < a.rows(); ++i) {
    for (int64_t j = 0; j < i; ++j) {
      ab += a(i, j) * b(i, j);
      aa += a(i, j) * a(i, j);
      bb += b(i, j) * b(i, j);
      squares += a(i, j) * a(i, j) * b(i, j) * b(i, j);
    }
  }
  return {ab / std::sqrt(aa * bb), std::sqrt(squares / (aa * bb))};
}

// Posts that are made as App. G.2 has them: frames U_b Q and V_b Q. Everything is known exactly.
TEST(SharedRotation, OfPostsThatTurnAsTheProofHasIt) {
  for (const auto& [d_in, d_out] : {std::pair{20, 20}, {34, 20}, {20, 34}}) {
    const Matrix u = orthonormal(d_in, 20, 1), v = orthonormal(d_out, 20, 2);
    const Matrix q = small_rotation(20, 0.1, 3), r = small_rotation(20, 0.15, 4);
    const std::vector<double> sigma = linear_spectrum(20, 3, 1), post_sigma = linear_spectrum(20, 3.1, 0.9),
                              other_sigma = linear_spectrum(20, 2.5, 1.2);
    const Matrix base = compose(u, sigma, v), post = compose(times(u, q), post_sigma, times(v, q)),
                 other = compose(times(u, r), other_sigma, times(v, r));
    const RotationPair pair = measured(base, post, other);
    EXPECT_EQ(pair.n, 20);
    EXPECT_EQ(pair.method, Method::Gram);
    const double root = std::sqrt(20.0);
    EXPECT_NEAR(pair.post.identity_distance, length(q, identity(20)) / root, 1e-12);
    EXPECT_NEAR(pair.other.identity_distance, length(r, identity(20)) / root, 1e-12);
    EXPECT_NEAR(pair.shared.distance, length(q, r) / root, 1e-12);
    EXPECT_LT(pair.post.q1_orthogonality, 1e-12);
    EXPECT_LT(pair.other.q2_orthogonality, 1e-12);
    EXPECT_NEAR(pair.shared.difference, length(post, other), 1e-12);
    const auto [correlation, sd] = off_diagonal_correlation(compose(q, sigma, q), compose(r, sigma, r));
    EXPECT_NEAR(pair.shared.turn_correlation, correlation, 1e-11);
    EXPECT_NEAR(pair.shared.turn_correlation_sd, sd, 1e-11);
    // All of the way. What is outside of p's frame is a difference of squares: to √u where there is an outside.
    EXPECT_LT(pair.shared.carry_error, d_in == d_out ? 1e-11 : 2e-7);
    EXPECT_NEAR(pair.shared.explained, 1, 1e-13);
    const Matrix carried = compose(times(u, r), post_sigma, times(v, r));
    EXPECT_NEAR(pair.shared.carry_error_kept, length(other, carried) / length(post, other), 1e-11);
    EXPECT_TRUE(pair.post.flags.empty());
    EXPECT_TRUE(std::isnan(pair.null.distance));
    EXPECT_TRUE(std::isnan(pair.post.identity_distance_null));
  }
}

// The same matrices in other coordinates, where the rule of signs flips other pairs.
TEST(SharedRotation, HangsOnNoSigns) {
  const auto noisy = [](const Matrix& w, uint64_t seed) {
    return combined(1, w, 0.05, gaussian(w.rows(), w.cols(), seed));
  };
  const Matrix base = with_spectrum(18, 12, linear_spectrum(12, 4, 1), 5), post = noisy(base, 6),
               other = noisy(base, 7);
  const RotationPair here = measured(base, post, other);
  const Matrix left = orthonormal(18, 18, 8), right = orthonormal(12, 12, 9);
  const auto moved = [&](const Matrix& w) { return times(times(left, w), transposed(right)); };
  const RotationPair there = measured(moved(base), moved(post), moved(other));
  for (const auto member :
       {&SharedMeasure::distance, &SharedMeasure::turn_correlation, &SharedMeasure::turn_correlation_sd,
        &SharedMeasure::change_correlation, &SharedMeasure::carry_error, &SharedMeasure::carry_error_kept,
        &SharedMeasure::explained, &SharedMeasure::explained_by_chance, &SharedMeasure::explained_sd}) {
    EXPECT_NEAR(here.shared.*member, there.shared.*member, 1e-11);
  }
  EXPECT_NEAR(here.post.identity_distance, there.post.identity_distance, 1e-11);
  EXPECT_NEAR(here.post.q1_orthogonality, there.post.q1_orthogonality, 1e-11);
}

Matrix matrix_of(const Columns<long double>& columns) {
  Matrix out(static_cast<int64_t>(columns[0].size()), static_cast<int64_t>(columns.size()), Space::Host);
  for (int64_t j = 0; j < out.cols(); ++j) {
    for (int64_t i = 0; i < out.rows(); ++i) {
      out(i, j) = static_cast<double>(columns[static_cast<size_t>(j)][static_cast<size_t>(i)]);
    }
  }
  return out;
}

/// One post's frames and rotation by definition, from dense SVDs that share no code with the product.
struct Reference {
  Matrix u, v, q1, q2, q;
  std::vector<double> sigma;

  explicit Reference(const Matrix& w) {
    const ReferenceSvd<long double> svd = reference_svd<long double>(w);
    u = matrix_of(svd.u);
    v = matrix_of(svd.v);
    for (const long double s : svd.sigma) sigma.push_back(static_cast<double>(s));
  }
  Reference(const Matrix& w, const Reference& base) : Reference(w) {
    for (int64_t j = 0; j < u.cols(); ++j) {
      double sum = 0;
      for (int64_t i = 0; i < u.rows(); ++i) sum += base.u(i, j) * u(i, j);
      for (int64_t i = 0; i < v.rows(); ++i) sum += base.v(i, j) * v(i, j);
      for (Matrix* m : {&u, &v}) {
        for (int64_t i = 0; sum < 0 && i < m->rows(); ++i) (*m)(i, j) *= -1;
      }
    }
    q1 = times(transposed(base.u), u);
    q2 = times(transposed(base.v), v);
    q = matrix_of(polar_factor(reference_svd<long double>(combined(1, q1, 1, q2))));
  }
};

void expect_reference(const Matrix& base, const Matrix& post, const Matrix& other, double tolerance) {
  const Reference b(base), p(post, b), o(other, b);
  const RotationPair pair = measured(base, post, other);
  const double root = std::sqrt(static_cast<double>(pair.n));
  EXPECT_NEAR(pair.post.q1_orthogonality, length(times(transposed(p.q1), p.q1), identity(pair.n)) / root, tolerance);
  EXPECT_NEAR(pair.other.q2_orthogonality, length(times(transposed(o.q2), o.q2), identity(pair.n)) / root, tolerance);
  EXPECT_NEAR(pair.other.identity_distance, length(o.q, identity(pair.n)) / root, tolerance);
  EXPECT_NEAR(pair.shared.distance, length(p.q, o.q) / root, tolerance);
  EXPECT_NEAR(pair.shared.turn_correlation,
              off_diagonal_correlation(compose(p.q, b.sigma, p.q), compose(o.q, b.sigma, o.q)).first, tolerance);
  const Matrix q_c = times(transposed(p.q), o.q);
  const Matrix carried = compose(times(p.u, q_c), o.sigma, times(p.v, q_c)),
               kept = compose(times(p.u, q_c), p.sigma, times(p.v, q_c));
  EXPECT_NEAR(pair.shared.carry_error, length(other, carried) / length(other, post), tolerance);
  EXPECT_NEAR(pair.shared.carry_error_kept, length(other, kept) / length(other, post), tolerance);
  const double size = frobenius(base) * frobenius(base);
  const auto residual = [&](const Matrix& w) {
    double inner = 0;
    for (int64_t j = 0; j < w.cols(); ++j) {
      for (int64_t i = 0; i < w.rows(); ++i) inner += w(i, j) * base(i, j);
    }
    return combined(1, w, -inner / size, base);
  };
  const Matrix e = residual(post), f = residual(other);
  double inner = 0;
  for (int64_t j = 0; j < e.cols(); ++j) {
    for (int64_t i = 0; i < e.rows(); ++i) inner += e(i, j) * f(i, j);
  }
  EXPECT_NEAR(pair.shared.change_correlation, inner / (frobenius(e) * frobenius(f)), tolerance);
  EXPECT_NEAR(pair.post.relative_change, length(post, base) / frobenius(base), tolerance);
}

TEST(SharedRotation, AgreesWithDenseMatrices) {
  for (const auto& [d_in, d_out] : {std::pair{16, 16}, {30, 16}, {16, 30}}) {
    const auto n = std::min(d_in, d_out);
    const Matrix base = with_spectrum(d_in, d_out, geometric_spectrum(n, 20), 10);
    for (const double size : {1e-3, 0.03}) {
      const Matrix common = gaussian(d_in, d_out, 11);
      const Matrix post = combined(1, combined(0.99, base, size, gaussian(d_in, d_out, 12)), size, common),
                   other = combined(1, combined(1.02, base, size, gaussian(d_in, d_out, 13)), size, common);
      expect_reference(base, post, other, 1e-9);
    }
    // Models that have nothing to do with each other.
    if (d_in != d_out) expect_reference(base, gaussian(d_in, d_out, 14), gaussian(d_in, d_out, 15), 1e-9);
  }
}

TEST(SharedRotation, TakesDirectSvdsWhereTheGramMatrixIsNotEnough) {
  const Matrix base = with_spectrum(24, 14, geometric_spectrum(14, 1e8), 16);
  const Matrix post = compose(orthonormal(24, 14, 17), geometric_spectrum(14, 1e7), orthonormal(14, 14, 18)),
               easy = gaussian(24, 14, 19);
  EXPECT_EQ(measured(base, post, easy).method, Method::Svd);
  EXPECT_EQ(measured(easy, easy, base).method, Method::Svd);  // for the third's sake
  expect_reference(base, post, easy, 1e-6);                   // u κ
  expect_reference(base, combined(1, base, 1e-3, gaussian(24, 14, 20)), easy, 1e-6);
}

// E and E' gaussian: correlations are of mean 0 and of the deviation that is said, √(2/(n(n−1))) on average; of the
// difference (n + 1)/2m is explained; and drawn nulls say so too.
TEST(SharedRotation, OfIndependentNoiseIsTheNull) {
  constexpr int kDraws = 60;
  constexpr int64_t kM = 36, kN = 24;
  const Matrix base = with_spectrum(kM, kN, linear_spectrum(kN, 4, 1), 21);
  const auto noisy = [&](uint64_t seed) { return combined(1, base, 2e-4, gaussian(kM, kN, seed)); };
  const Matrix post = noisy(22);
  Moments correlation, sd, explained, drawn, drawn_explained, change, distance, identity;
  double z_squares = 0;
  for (int i = 0; i < kDraws; ++i) {
    const RotationPair pair =
        measured(base, post, noisy(mix64(23 + static_cast<uint64_t>(i))), {1, static_cast<uint64_t>(i)});
    const SharedMeasure& s = pair.shared;
    correlation.add(s.turn_correlation);
    change.add(s.change_correlation);
    sd.add(s.turn_correlation_sd);
    explained.add(s.explained);
    drawn.add(pair.null.turn_correlation);
    drawn_explained.add(pair.null.explained);
    EXPECT_NEAR(s.explained, s.explained_by_chance, 5 * s.explained_sd);
    distance.add(std::log(s.distance / pair.null.distance));
    identity.add(std::log(pair.other.identity_distance / pair.other.identity_distance_null));
    z_squares += (s.explained - s.explained_by_chance) * (s.explained - s.explained_by_chance) /
                 (s.explained_sd * s.explained_sd);
  }
  const double chance_sd = std::sqrt(2.0 / (kN * (kN - 1)));
  EXPECT_NEAR(sd.mean(), chance_sd, 0.1 * chance_sd);
  for (const Moments* m : {&correlation, &drawn}) {
    EXPECT_NEAR(m->mean(), 0, 4 * chance_sd / std::sqrt(kDraws));
    EXPECT_NEAR(m->sample_deviation(), chance_sd, 0.4 * chance_sd);  // 4 / √(2 · 60)
  }
  for (const Moments* m : {&distance, &identity}) {
    EXPECT_NEAR(m->mean(), 0, 4 * m->sample_deviation() / std::sqrt(kDraws));
    EXPECT_LT(m->sample_deviation(), 1);
  }
  EXPECT_NEAR(change.mean(), 0, 4 / std::sqrt(kM * kN * kDraws));
  const double expected = (kN + 1) / (2.0 * kM), spread = explained.sample_deviation() / std::sqrt(kDraws);
  EXPECT_NEAR(explained.mean(), expected, 4 * spread + 0.01);  // + one frame p for all
  EXPECT_NEAR(drawn_explained.mean(), expected, 4 * spread + 0.01);
  EXPECT_NEAR(z_squares / kDraws, 1, 0.75);  // 4 √(2/60)
}

// Half of each change is common: so are its turns, to the same degree and no more.
TEST(SharedRotation, TurnsHaveInCommonWhatChangesHave) {
  const Matrix base = with_spectrum(60, 40, linear_spectrum(40, 4, 1), 30), common = gaussian(60, 40, 31);
  const auto post = [&](uint64_t seed) {
    return combined(1, combined(1, base, 1e-3, common), 1e-3, gaussian(60, 40, seed));
  };
  const RotationPair pair = measured(base, post(32), post(33), {1, 7});
  EXPECT_NEAR(pair.shared.change_correlation, 0.5, 4 / std::sqrt(60.0 * 40.0));
  EXPECT_NEAR(pair.shared.turn_correlation, pair.shared.change_correlation, 4 * pair.shared.turn_correlation_sd);
  EXPECT_NEAR(pair.null.turn_correlation, 0, 5 * pair.shared.turn_correlation_sd);
  EXPECT_LT(pair.shared.distance, pair.null.distance);
}

TEST(SharedRotation, OfUnrelatedModels) {
  const Matrix base = gaussian(80, 60, 34), post = combined(1, base, 0.01, gaussian(80, 60, 35)),
               other = gaussian(80, 60, 36);
  const RotationPair pair = measured(base, post, other, {1, 1});
  EXPECT_NEAR(pair.shared.distance, std::sqrt(2.0), 0.1);
  EXPECT_NEAR(pair.other.identity_distance, std::sqrt(2.0), 0.1);
  EXPECT_NEAR(pair.null.distance, std::sqrt(2.0), 0.1);
  EXPECT_LT(std::abs(pair.other.cosine), 0.1);
  EXPECT_GT(pair.post.cosine, 0.99);
}

// Determinants of unlike sign: Q_1 + Q_2 vanishes in a direction, and what is left is finite.
TEST(SharedRotation, OfAMirroredDirection) {
  const Matrix u = orthonormal(8, 8, 40), v = orthonormal(8, 8, 41);
  const std::vector<double> sigma = linear_spectrum(8, 3, 1);
  Matrix mirrored = small_rotation(8, 0.3, 42), plane = identity(8);
  plane(0, 0) = plane(1, 1) = 0.6;
  plane(0, 1) = plane(1, 0) = 0.8;
  plane(1, 1) = -0.6;  // a reflection whose diagonal no flip of pairs brings to that of a rotation
  const Matrix base = compose(u, sigma, v), other = compose(times(u, plane), sigma, times(v, mirrored));
  const RotationPair pair = measured(base, combined(1, base, 0.01, gaussian(8, 8, 43)), other);
  EXPECT_EQ(pair.other.flags, std::vector<std::string>{"mirrored_direction"});
  EXPECT_TRUE(std::isfinite(pair.shared.distance));
  EXPECT_TRUE(std::isfinite(pair.shared.carry_error));
}

TEST(SharedRotation, SaysWhatIsNotDefined) {
  const Matrix base = gaussian(12, 9, 50), post = combined(1, base, 0.1, gaussian(12, 9, 51));
  const RotationPair unchanged = measured(base, post, base, {1, 1});
  EXPECT_EQ(unchanged.other.flags, std::vector<std::string>{"unchanged"});
  EXPECT_TRUE(std::isnan(unchanged.shared.turn_correlation));
  EXPECT_TRUE(std::isnan(unchanged.shared.change_correlation));
  EXPECT_TRUE(std::isnan(unchanged.null.distance));  // noise of no size
  EXPECT_LT(unchanged.other.identity_distance, 1e-12);
  EXPECT_TRUE(std::isfinite(unchanged.shared.carry_error));

  const RotationPair same = measured(base, post, post);
  EXPECT_EQ(same.shared.difference, 0);
  EXPECT_TRUE(std::isnan(same.shared.carry_error));
  EXPECT_NEAR(same.shared.change_correlation, 1, 1e-12);
  EXPECT_NEAR(same.shared.turn_correlation, 1, 1e-12);

  const Matrix column = gaussian(7, 1, 54);
  const RotationPair narrow = measured(column, gaussian(7, 1, 55), gaussian(7, 1, 56), {1, 1});
  EXPECT_TRUE(std::isnan(narrow.shared.turn_correlation));  // nothing is off the diagonal
  EXPECT_TRUE(std::isfinite(narrow.shared.carry_error));

  const Matrix low = times(gaussian(12, 4, 52), gaussian(4, 9, 53));
  const RotationPair deficient = measured(base, post, low, {1, 1});
  EXPECT_EQ(deficient.other.flags, std::vector<std::string>{"rank_deficient"});
  EXPECT_TRUE(deficient.post.flags.empty());
  EXPECT_TRUE(std::isnan(deficient.shared.distance));
  EXPECT_TRUE(std::isfinite(deficient.shared.change_correlation));
  EXPECT_TRUE(std::isfinite(deficient.post.identity_distance));
  const RotationPair of_deficient = measured(low, post, base, {1, 1});
  EXPECT_TRUE(std::isnan(of_deficient.shared.distance));
  EXPECT_TRUE(std::isnan(of_deficient.post.identity_distance));

  Matrix bad = post.clone();
  bad(0, 0) = std::nan("");
  EXPECT_TRUE(contains(error_of([&] { measured(base, post, bad); }), "other.weight: holds 1 NaN"));
}

TEST(SharedRotation, OnAGpu) {
  if (device::gpus().empty()) GTEST_SKIP() << device::why_none();
  for (const auto& [d_in, d_out] : {std::pair{300, 300}, {500, 300}, {200, 450}}) {
    const Matrix base = gaussian(d_in, d_out, 60), post = combined(1, base, 0.01, gaussian(d_in, d_out, 61)),
                 other = combined(1, base, 0.02, gaussian(d_in, d_out, 62));
    const RotationPair here = measured(base, post, other, {1, 3});
    const device::Scope scope(0);
    const RotationPair there = measured(base, post, other, {1, 3});
    for (const auto member : {&SharedMeasure::distance, &SharedMeasure::turn_correlation, &SharedMeasure::carry_error,
                              &SharedMeasure::explained_sd, &SharedMeasure::change_correlation}) {
      EXPECT_NEAR(here.shared.*member, there.shared.*member, 1e-8);
      EXPECT_NEAR(here.null.*member, there.null.*member, 1e-7);
    }
  }
}

}  // namespace
}  // namespace gyro
