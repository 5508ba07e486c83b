#pragma once

#include <cstdint>
#include <vector>

#include "gyro/spectra/decomposition.h"
#include "gyro/spectra/null_model.h"
#include "gyro/spectra/quantities.h"

namespace gyro {

// Fills gyro/spectra/quantities.h from what a comparison has in memory.

/// One comparison: factors of base and post, long and short side as of TallWeight.
struct QuantityInput {
  const Decomposition& base;
  const Decomposition& post;
  const Matrix& q_long;   ///< L_bᵀ L_p
  const Matrix& q_short;  ///< S_bᵀ S_p
  const Matrix& x;        ///< L_bᵀ E S_b; empty where it is not known
  /// ‖E s_j‖² of the base's short vectors, for m > n.
  const std::vector<double>& short_energy;
  bool transposed = false;  ///< the long side is the output side
  double scale = 1;         ///< c
  double residual = 0;      ///< ‖E‖²; 0 where it is nothing but rounding
  double purity = 0;        ///< Σσ⁴/(Σσ²)² of E, from 1/n of equal singular values to 1 of a single one
};

/// Shares of ‖E‖² on each of the base's directions, from the first on summed up: n each, and on both sides at once.
struct PrincipalCurves {
  std::vector<double> u, v;
  double uv01 = 0, uv10 = 0, uv50 = 0;
};

/// The numbers k of PrincipalShares.
int64_t leading(int64_t n, double q);

/// Empty curves where there is no E, or the base lacks directions.
PrincipalCurves principal_curves(const QuantityInput& in);
PrincipalShares principal_shares(const QuantityInput& in, const PrincipalCurves& curves);
SubspaceOverlaps subspace_overlaps(const QuantityInput& in);
/// Without their nulls.
Intruders intruders(const QuantityInput& in);
/// The nulls of intruders, from one draw in full.
void add_intruder_null(const NullModel& model, const Decomposition& base, bool transposed, uint64_t seed,
                       Intruders& out);
/// Of singular values as they are (sigma / unit); without nss_c's null.
SpectrumShift spectrum_shift(const std::vector<double>& base, const std::vector<double>& post, double scale);

/// Maximum likelihood over all λ = σ² above 1e-5, descending; NaN for fewer than ten of them.
HeavyTail heavy_tail(const std::vector<double>& sigma);
/// exp of the entropy of σ/Σσ.
double effective_rank(const std::vector<double>& sigma);

}  // namespace gyro
