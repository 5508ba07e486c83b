#pragma once

#include <cstdint>
#include <vector>

#include "gyro/spectra/factors.h"

namespace gyro {

/// A LoRA pair as PEFT stores it: the module's weight (d_out x d_in) gets `scaling` · B A. Both row-major in FP64:
/// lora_a is rank x d_in, lora_b d_out x rank.
struct LoraPair {
  int64_t rank = 0, d_in = 0, d_out = 0;
  double scaling = 1;
  std::vector<double> lora_a, lora_b;
};

/// Singular components [first, first + rank) of a weight, split evenly: scaling · B A = Σ_j σ_j v_j u_jᵀ.
LoraPair component_band(const Factors& f, int64_t first, int64_t rank, double scaling);

/// weight − scaling · B A (column-major d_in x d_out, the stored layout), where the weight lies: what PEFT calls the
/// residual.
Matrix residual(const Weight& weight, const LoraPair& pair);

/// The best rank-`rank` approximation of post − base in Frobenius norm (Eckart-Young), and the spectrum of the change.
/// The weights lie where the thread works (ResidentWeight).
struct LowRankChange {
  LoraPair pair;
  std::vector<double> sigma;  ///< of post − base, descending
  double change = 0;          ///< ‖post − base‖_F
  double error = 0;           ///< ‖post − base − scaling · B A‖_F

  /// The least rank that holds `share` of ‖post − base‖_F².
  int64_t rank_for(double share) const;
};
LowRankChange low_rank_change(const Weight& base, const Weight& post, int64_t rank, double scaling);

/// The window of `rank` consecutive directions that turn most: start of the largest sum of `turn` (App. F).
int64_t widest_turn(const std::vector<double>& turn, int64_t rank);

}  // namespace gyro
