#include "gyro/spectra/factors.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "gyro/linalg/linalg.h"
#include "gyro/spectra/test_util.h"

namespace gyro {
namespace {

/// L M for the identity M: L itself, tall, whichever way the weight lies.
Matrix long_vectors(const Factors& f) {
  Matrix identity = Matrix::zeros(f.a.n, f.a.n);
  for (int64_t i = 0; i < f.a.n; ++i) identity(i, i) = 1;
  Matrix out = times_long(f, identity);
  return f.a.transposed ? transposed(out) : std::move(out);
}

Matrix tall_of(const Matrix& w) {
  return w.rows() >= w.cols() ? w.clone() : transposed(w);
}

void check_factors(const Matrix& w, Method method) {
  const Weight weight = weight_of(w);
  const Factors f = factorize(weight);
  EXPECT_EQ(f.svd.method, method);
  const Matrix l = long_vectors(f);
  const Matrix rebuilt = compose(l, f.svd.sigma, f.svd.short_vectors);
  EXPECT_LT(frobenius(combined(1, rebuilt, -1, tall_of(w))), 1e-12 * frobenius(w));
  Matrix overlap = times(transposed(l), l);
  for (int64_t j = 0; j < overlap.cols(); ++j) overlap(j, j) -= 1;
  EXPECT_LT(frobenius(overlap), 1e-7);
  for (int64_t j = 0; j < f.a.n; ++j) {  // the sign rule
    double largest = 0;
    for (int64_t i = 0; i < f.a.n; ++i) {
      if (std::abs(f.svd.short_vectors(i, j)) > std::abs(largest)) largest = f.svd.short_vectors(i, j);
    }
    EXPECT_GT(largest, 0) << j;
  }
}

TEST(Factors, BothOrientationsBothMethods) {
  for (const auto& [d_in, d_out] : {std::pair{24, 24}, {40, 16}, {16, 40}}) {
    const auto n = std::min(d_in, d_out);
    check_factors(with_spectrum(d_in, d_out, geometric_spectrum(n, 100), 1), Method::Gram);
    check_factors(with_spectrum(d_in, d_out, geometric_spectrum(n, 1e7), 2), Method::Svd);
  }
}

TEST(Factors, PairGoesByOneMethod) {
  const Matrix easy = with_spectrum(30, 12, geometric_spectrum(12, 10), 3);
  const Matrix hard = with_spectrum(30, 12, geometric_spectrum(12, 1e8), 4);
  const Weight easy_weight = weight_of(easy), hard_weight = weight_of(hard);
  for (const bool swapped : {false, true}) {
    const auto [a, b] = factorize(swapped ? hard_weight : easy_weight, swapped ? easy_weight : hard_weight);
    EXPECT_EQ(a.svd.method, Method::Svd);
    EXPECT_EQ(b.svd.method, Method::Svd);
  }
}

TEST(Factors, Rotations) {
  for (const double kappa : {100.0, 1e8}) {  // by Gram and by direct SVD
    for (const auto& [d_in, d_out] : {std::pair{20, 20}, {30, 12}, {12, 30}}) {
      const auto n = std::min(d_in, d_out);
      const Matrix base = with_spectrum(d_in, d_out, geometric_spectrum(n, kappa), 5);
      const Matrix post = with_spectrum(d_in, d_out, geometric_spectrum(n, kappa), 6);
      const Weight base_weight = weight_of(base), post_weight = weight_of(post);
      const auto [b, p] = factorize(base_weight, post_weight);
      const Matrix q_long = times(transposed(long_vectors(b)), long_vectors(p));
      EXPECT_LT(frobenius(combined(1, long_rotation(b, p), -1, q_long)), 1e-9);
      const Matrix q_short = times(transposed(b.svd.short_vectors), p.svd.short_vectors);
      EXPECT_LT(frobenius(combined(1, short_rotation(b, p), -1, q_short)), 1e-12);
    }
  }
}

TEST(Factors, TimesLong) {
  const Matrix m = gaussian(12, 12, 7);
  for (const double kappa : {100.0, 1e8}) {
    for (const bool wide : {false, true}) {
      const Matrix w = with_spectrum(wide ? 12 : 30, wide ? 30 : 12, geometric_spectrum(12, kappa), 8);
      const Weight weight = weight_of(w);
      const Factors f = factorize(weight);
      const Matrix expected = times(long_vectors(f), m), found = times_long(f, m);
      EXPECT_LT(frobenius(combined(1, wide ? transposed(found) : found.clone(), -1, expected)), 1e-11);
    }
  }
}

TEST(Factors, RefusesWhatHasNoSingularVectors) {
  const Matrix low = times(gaussian(20, 3, 9), gaussian(3, 10, 10));
  const Weight low_weight = weight_of(low, "low.weight");
  EXPECT_EQ(error_of([&] { factorize(low_weight); }),
            "low.weight: has rank 3 of 10: its singular vectors are not determined");
  const Matrix zero = Matrix::zeros(4, 6);
  const Weight zero_weight = weight_of(zero, "zero.weight");
  EXPECT_TRUE(contains(error_of([&] { factorize(zero_weight); }), "zero.weight: has rank 0 of 4"));
  Matrix bad = gaussian(6, 6, 11);
  bad(1, 2) = std::numeric_limits<double>::quiet_NaN();
  bad(3, 3) = std::numeric_limits<double>::infinity();
  const Weight bad_weight = weight_of(bad, "bad.weight");
  EXPECT_TRUE(contains(error_of([&] { factorize(bad_weight); }), "bad.weight"));
}

TEST(Factors, OneColumn) {
  const Matrix w = gaussian(7, 1, 12);
  check_factors(w, Method::Gram);
}

}  // namespace
}  // namespace gyro
