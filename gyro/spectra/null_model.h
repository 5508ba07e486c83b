#pragma once

#include <cstdint>
#include <vector>

#include "gyro/tensor/weight.h"

namespace gyro {

/// A structureless change: W_p = c W_b + E, E gaussian with independent entries (design §1, 'what makes a number mean
/// something'). m and n are the long and short side, sigma the base's singular values (descending, n).
struct NullModel {
  int64_t m = 0;
  int64_t n = 0;
  int64_t k = 0;             ///< leading singular values that α and robust NF look at
  double scale = 1;          ///< c
  double residual_norm = 0;  ///< ‖E‖_F
  std::vector<double> sigma;

  /// s = ‖E‖_F / (|c| √(mn)).
  double noise() const;
};

/// NF of two independent matrices, √(1/m + 1/n), and of their leading k block, √(1/m + 1/k).
double nf_chance(int64_t m, int64_t k);

/// First-order predictions. A value that does not exist (a vanishing σ) is NaN.
struct NullClosedForm {
  double nf = 0;
  double nf_robust = 0;
  double nf_robust_sd = 0;
  bool nf_valid = false;  ///< c > 0 and nf ≤ 0.3 of chance
  double alpha_mean = 0;  ///< second order in s
  double alpha_std = 0;
  /// Of quantities.h: s √(n−3/2) / ‖σ_b‖ and s / (√2 ‖σ_b‖); where α is valid and the second order, s²(m−n)/2σ_j, adds
  /// less than a third of a deviation to the sum of squares.
  double nss_c = 0, nss_c_sd = 0;
  bool nss_c_valid = false;
  bool alpha_valid = false;  ///< s below a tenth of the median spacing of σ_1 ... σ_k, and s m < σ_k
};
NullClosedForm null_closed_form(const NullModel& model);

/// Means over draws, and standard deviations between draws (NaN with fewer than two).
struct NullSample {
  int64_t alpha_draws = 0;
  double alpha_mean = 0;
  double alpha_std = 0;
  double alpha_std_sd = 0;
  double nss_c = 0, nss_c_sd = 0;
  int64_t nf_draws = 0;
  double nf = 0;
  double nf_sd = 0;
  double nf_robust = 0;
  double nf_robust_sd = 0;
};

/// Draws from the null in the base's singular coordinates, where W_p is [cΣ + Z; R] with Z n x n gaussian of deviation
/// s|c| and R the Bartlett factor of the other m − n rows. The first `nf_draws` of the draws also yield singular
/// vectors. Seeded by `seed` and the number of the draw alone.
NullSample sample_null(const NullModel& model, int64_t draws, int64_t nf_draws, uint64_t seed);

/// The first draw's leading `count` vectors in the base's coordinates: n x count each.
struct DrawnVectors {
  Matrix q_long, q_short;
};
DrawnVectors draw_vectors(const NullModel& model, int64_t count, uint64_t seed);

/// One draw in full: c W_b + E with ‖E‖_F = `residual_norm`, in the stored layout (d_in x d_out, column-major).
Matrix noise_weight(const Weight& base, double scale, double residual_norm, uint64_t seed);

}  // namespace gyro
