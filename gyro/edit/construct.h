#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "gyro/spectra/factors.h"
#include "gyro/tensor/matrix.h"

namespace gyro {

/// Which singular vectors a construction takes from the base: V (output side) or U (input side). We follow the paper's
/// equations, not its tables' labels, which contradict each other.
enum class Side { Out, In };

/// What `construct` makes of a post matrix and its base (design §1, 'Constructions'; eq. numbers of the paper).
enum class Operation {
  Replace,  ///< U_p (α′ Σ_b) V_pᵀ, eq. 9 (eq. 14 with α′ = 1)
  Ablate,   ///< U_p Σ_p V_bᵀ, eq. 10; U_b Σ_p V_pᵀ, eq. 15
  Restore,  ///< U_p Σ_p (V_b U_bᵀ U_p)ᵀ, eq. 11; (U_b V_bᵀ V_p) Σ_p V_pᵀ, eq. 16; eq. 12 with a sibling as base
  TransplantSigma,     ///< U_b Σ_p V_bᵀ: post's singular values on the base
  TransplantRotation,  ///< U_p Σ_b V_pᵀ: post's singular vectors with the base's values
  Noise,               ///< W_b + G, G gaussian with ‖G‖_F = ‖W_p − W_b‖_F
  Interpolate,         ///< between base (t = 0) and post (t = 1)
};

struct Construction {
  Operation operation = Operation::Replace;
  Side side = Side::Out;
  double scale = 1;          ///< α′ of Replace
  bool align_signs = false;  ///< Ablate: base pair j flipped by sign(u_b·u_p + v_b·v_p)
  double t = 0.5;            ///< of Interpolate
  uint64_t seed = 0;         ///< of noise
  /// Not the construction M itself but its control: W_p + G, G gaussian with ‖G‖_F = ‖M − W_p‖_F. Not of Noise.
  bool as_noise = false;
};

/// The constructed weight, FP64, in the stored layout (column-major d_in x d_out: Hugging Face's rows), where the
/// factors lie. Signs of singular pairs follow the fixed rule of `Decomposition`, so that Ablate does not depend on
/// library or device. Exact to about 1e-7 of the weight's norm.
///
/// Interpolate: with W = P H (polar, tall orientation), H(t) = exp((1−t) log H_b + t log H_p), which is linear in log
/// σ, and P(t) the geodesic from P_b to P_p: their spans turn by t times their principal angles (Grassmann), and within
/// the span P_b's frame by the t-th power of the orthogonal factor of P_bᵀP_p.
Matrix construct(const Construction& what, const Factors& base, const Factors& post);

/// The operations that need no singular vectors (Noise).
Matrix construct_noise(const Weight& base, const Weight& post, uint64_t seed);

}  // namespace gyro
