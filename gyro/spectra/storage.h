#pragma once

#include <cstdint>
#include <vector>

#include "gyro/spectra/tall.h"

namespace gyro {

/// The places of a stored weight's dtype, for values of each of FP64's exponents (linalg::exponent_counts). Blocks of
/// FP8 have scales, so that their places are known up to a factor of two.
class StoredPlaces {
 public:
  explicit StoredPlaces(const Weight& weight);
  /// Distance of neighbours among the values of a biased exponent.
  double ulp(size_t exponent) const;

 private:
  int mantissa_bits_;
  int least_exponent_;  ///< below it places get no smaller
};

/// Whether two weights of unlike dtypes differ by no more than storing rounds: every entry by at most half a place of
/// the one and half a place of the other. False where nothing differs, and for one dtype, in which the least change is
/// a place. A pass over both where they may be such.
bool within_rounding(const TallWeight& base, const TallWeight& post);

/// Frobenius norm of what storing rounds away, √(Σ ulp²/12), from the stored values' exponents.
double rounding_norm(const StoredPlaces& places, const std::vector<int64_t>& exponents);

/// Deviation e of a gaussian change which, once it is rounded to those places, has Frobenius norm `change_norm` > 0:
/// Σ ulp² E[round(N(0, e)/ulp)²] = change_norm².
double dense_deviation(const StoredPlaces& places, const std::vector<int64_t>& base_exponents, double change_norm);

/// Share of weights that such a change leaves bit-equal: mean of P(|N(0, e)| < ulp/2) over the base's exponents. NaN
/// for no change.
double expected_unchanged(const StoredPlaces& places, const std::vector<int64_t>& base_exponents, double change_norm);

}  // namespace gyro
