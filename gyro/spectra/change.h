#pragma once

#include <cstdint>
#include <vector>

#include "gyro/spectra/pair.h"
#include "gyro/spectra/storage.h"

namespace gyro {

// The parts of a comparison that need no singular vectors, for pair.cc.

/// One comparison.
struct PairInput {
  const TallWeight& base;
  const TallWeight& post;
  const PairOptions& options;
  const Matrix& base_gram;  ///< A_bᵀA_b, lower triangle
  const Decomposition& base_by_gram;
  double base_norm_squared = 0;
  std::vector<double> short_energy;  ///< ‖E s_j‖² of base_by_gram's short vectors, for m > n; fill_change fills both
  double purity = 0;                 ///< Σσ⁴/(Σσ²)² of E
};

/// What one pass over base and post yields, Δ = A_p − A_b.
struct Change {
  Matrix gram = {};                                           ///< ΔᵀΔ, lower triangle
  Matrix cross = {};                                          ///< A_bᵀ Δ
  double norm_squared = 0, inner = 0, post_norm_squared = 0;  ///< ‖Δ‖², ⟨A_b, Δ⟩, ‖A_p‖²
  int64_t unchanged = 0;                                      ///< entries of equal bits
  PlaceBins places = {};                                      ///< base's values among the post's places
  double rounding_square = 0, base_rounding_square = 0;       ///< of storing the post, the base: Σ ulp²/12
};
/// Throws Error naming the post for NaN and Inf.
Change measure_change(const TallWeight& base, const TallWeight& post);

/// Fills what follows from it: scale, relative_change, cosine, unchanged and what is expected of it, rounding_norm,
/// stable_rank, update_rank, and the flag for a post that is the base.
void fill_change(PairInput& in, const Change& change, PairMeasure& out);

}  // namespace gyro
