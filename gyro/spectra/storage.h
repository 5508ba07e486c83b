#pragma once

#include <cstdint>
#include <vector>

#include "gyro/spectra/tall.h"

namespace gyro {

/// What a stored weight's dtype can tell apart. Of FP8 with scales: of values over their scale.
class StoredPlaces {
 public:
  explicit StoredPlaces(const Weight& weight);
  /// Distance of neighbours among the values of a biased exponent (linalg::exponent_counts), or near x.
  double ulp(size_t exponent) const;
  double ulp_at(double x) const;
  /// Which values it can store (linalg::exponent_counts).
  linalg::Grid grid() const { return {mantissa_bits_, least_exponent_}; }
  /// Whether it can store whatever the other can.
  bool holds_all_of(const StoredPlaces& other) const;

 private:
  int mantissa_bits_;
  int least_exponent_;  ///< below it places get no smaller
  bool scaled_;
};

/// Values near which a dtype tells apart what is `ulp` apart: so many that it can store, and so many between.
struct PlaceBin {
  double ulp = 0, stored = 0, between = 0;
};
using PlaceBins = std::vector<PlaceBin>;

/// All of a matrix by their exponents, and those of them that the dtype can store.
PlaceBins place_bins(const StoredPlaces& places, const std::vector<int64_t>& all, const std::vector<int64_t>& stored);

/// The same one by one, for values with scales: places to the eighth part of a factor of two.
class PlaceTally {
 public:
  explicit PlaceTally(const StoredPlaces& places);
  /// A value, and the magnitude of its scale in the dtype (1: none).
  void add(double x, double scale);
  PlaceBins bins() const;
  /// Σ ulp²/12 over values that are not zero: what storing them rounded away.
  double rounding_square() const;

 private:
  struct Part {
    int64_t stored = 0, between = 0, zeros = 0;
    double squares = 0;  ///< Σ ulp²
  };
  StoredPlaces places_;
  std::vector<Part> parts_;  ///< by the first bits of ulp
};

/// The magnitudes of the scales of a weight's values, on the host.
class ScaleTable {
 public:
  explicit ScaleTable(const Weight& weight);
  /// Above 0: of element (i, j) of a panel of it; 1 without scales, and for a scale of 0.
  double at(const Panel& panel, int64_t i, int64_t j) const;

 private:
  BlockScale scale_;
  int64_t first_row_;
  std::vector<double> values_;
};

/// Whether two weights of unlike dtypes differ by no more than storing rounds: every entry by at most half a place of
/// the one and half a place of the other. False where nothing differs, and for one dtype, in which the least change is
/// a place. A pass over both where they may be such.
bool within_rounding(const TallWeight& base, const TallWeight& post);

/// Square of the Frobenius norm of what storing rounds away, Σ ulp²/12, from the stored values' exponents.
double rounding_square(const StoredPlaces& places, const std::vector<int64_t>& exponents);

/// Deviation e of a gaussian change of such values which, once they are stored, has Frobenius norm `change_norm` > 0:
/// Σ ulp² E[round(N(0, e)/ulp)²] over those that could be stored before, and e² + ulp²/12 for each that could not.
double dense_deviation(const PlaceBins& bins, double change_norm);

/// Mean number of values that a change of deviation e changes: Σ P(|N(0, e)| > ulp/2) over those that could be stored
/// before, and all that could not.
double changed_by(const PlaceBins& bins, double e);

/// Share of weights that a gaussian change of that norm leaves bit-equal. NaN for no change.
double expected_unchanged(const PlaceBins& bins, double change_norm);

}  // namespace gyro
