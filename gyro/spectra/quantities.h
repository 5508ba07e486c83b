#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

namespace gyro {

// What others ask of an update, each figure beside what chance gives: the null of design §1, W_p = c W_b + E with E
// gaussian, as large as the residual. Of a d_in x d_out matrix with n singular values; u is the input side, v the
// output side. NaN: not defined.

/// A figure, its mean under chance, and its standard deviation there.
struct Against {
  double value = std::numeric_limits<double>::quiet_NaN();
  double null = std::numeric_limits<double>::quiet_NaN();
  double sd = std::numeric_limits<double>::quiet_NaN();
  double z() const { return (value - null) / sd; }
};

/// Shares of ‖E‖² on the base's k leading directions: of the input side Σ_{j≤k} ‖u_jᵀE‖² / ‖E‖², of the output side,
/// and of both, ‖U_kᵀ E V_k‖² / ‖E‖². Under chance k/d_in, k/d_out and k²/(d_in d_out) (Beta), less what fitting c
/// took; the deviation is at least that of E's singular values in random directions.
struct PrincipalShare {
  int64_t k = 0;
  Against u, v, uv;
};
/// For k = max(1, ⌊q n⌋), q = 0.01, 0.1 and 0.5.
struct PrincipalShares {
  PrincipalShare q01, q10, q50;
};

/// How much of the base's leading k-dimensional subspace the post's covers: φ = ‖Q[:k,:k]‖² / k, and the largest
/// principal angle between the two, in radians (below 1e-6 it is rounding). φ's null is of first order; where the
/// noise is not small beside the gap behind σ_k it is NaN, or in a result what the noise control gives.
struct SubspaceOverlap {
  int64_t k = 0;
  Against u, v;
  double angle_max_u = std::numeric_limits<double>::quiet_NaN(), angle_max_v = std::numeric_limits<double>::quiet_NaN();
};
/// For k as of PrincipalShares, moved by up to a fifth to where the base's spectrum has its widest gap.
struct SubspaceOverlaps {
  SubspaceOverlap q01, q10, q50;
};

/// Intruder dimensions: of the post's first `of` vectors those whose cosine with every vector of the base (projection
/// on every cluster of equal σ) is below ½. The nulls are counts in one draw, taken only where there are any.
struct Intruders {
  int64_t of = 0, u = 0, v = 0;
  double u_null = std::numeric_limits<double>::quiet_NaN(), v_null = std::numeric_limits<double>::quiet_NaN();
};

/// Power law of the tail of λ = σ², density ∝ λ^−alpha for λ ≥ lambda_min, by maximum likelihood; lambda_min is the one
/// of least Kolmogorov-Smirnov distance. As WeightWatcher fits it.
struct HeavyTail {
  double alpha = std::numeric_limits<double>::quiet_NaN(), distance = std::numeric_limits<double>::quiet_NaN();
  double lambda_min = std::numeric_limits<double>::quiet_NaN();
  int64_t count = 0;  ///< λ in the tail
};

/// The two spectra: nss = ‖σ_p − σ_b‖ / ‖σ_b‖; nss_c = ‖σ_p − cσ_b‖ / (|c| ‖σ_b‖), under chance s √(n − 3/2) / ‖σ_b‖
/// where α has a closed form, else sampled; effective ranks exp(−Σ p ln p), p = σ/Σσ.
struct SpectrumShift {
  double nss = std::numeric_limits<double>::quiet_NaN();
  Against nss_c;
  double erank_base = std::numeric_limits<double>::quiet_NaN(), erank_post = std::numeric_limits<double>::quiet_NaN();
  HeavyTail ww_alpha_base, ww_alpha_post;
};

/// Singular values of E (of W_p − W_b where c is 1 within chance, which E would fill with the base) beside those of
/// gaussian noise of its shape: effective rank, how many values hold 90 % and 99 % of ‖E‖², the shares that the first
/// one and the first sixteen hold, and how many lie above the bulk of noise whose median is E's, ŝ(√m + √n) (Gavish &
/// Donoho).
struct UpdateSpectrum {
  Against erank, rank_90, rank_99, top1, top16, spikes;
};

/// Of the weights that changed, the shares among the 30 % of smallest |W_b|, and among the 30 % largest entries of
/// |W_b|'s best approximation of rank n/10. The null is of a gaussian change as large, rounded to the post's dtype.
struct MaskOverlap {
  Against low, principal;
};

struct Quantities {
  PrincipalShares principal_share;
  SubspaceOverlaps subspace_overlap;
  Intruders intruders;
  SpectrumShift spectrum;
  std::optional<UpdateSpectrum> update_spectrum = {};
  std::optional<MaskOverlap> masks = {};
};

}  // namespace gyro
