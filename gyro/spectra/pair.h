#pragma once

#include <array>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "gyro/spectra/decomposition.h"
#include "gyro/spectra/masks.h"
#include "gyro/spectra/null_model.h"
#include "gyro/spectra/quantities.h"
#include "gyro/spectra/rotation.h"
#include "gyro/spectra/symmetry.h"

namespace gyro {

/// What is measured on one matrix of base and post (design §1 and §4; the names are result.json's). NaN: not valid.
/// `*_error` are absolute bounds.
struct PairMeasure {
  Method method = Method::Gram;
  int64_t n = 0, k = 0, rank = 0;
  std::vector<std::string> flags;
  double alpha_mean = 0, alpha_std = 0, alpha_error = 0;
  double nf = 0, nf_error = 0, nf_robust = 0, nf_robust_error = 0, nf_chance = 0, nf_robust_chance = 0;
  double scale = 0, relative_change = 0, cosine = 0, polar_inner = 0;
  double q1_orthogonality = 0, q2_orthogonality = 0;
  double unit = 1;  ///< a power of two: energies and rounding_norm are those of weights multiplied by it
  EnergyBudget energy;
  Symmetry symmetry;
  double unchanged = 0;                                               ///< share of weights bit-equal to the base's
  double sparse_expected = std::numeric_limits<double>::quiet_NaN();  ///< what `unchanged` is of a dense change
  double stable_rank = 0;                                             ///< ‖E‖_F² / ‖E‖_2²
  double update_rank = std::numeric_limits<double>::quiet_NaN();      ///< share of Δ's singular values above rounding
  double rounding_norm = 0;  ///< what storing W_p in its dtype costs in Frobenius norm, √(Σ ulp² / 12)
  double scale_sd = 0;       ///< of `scale` under chance, ‖E‖_F / (‖W_b‖_F √(mn))
  double k_eff = 0;          ///< (Σ σ_j⁻²)² / Σ σ_j⁻⁴ over the base's top k
  NullClosedForm null;
  std::optional<NullSample> sampled;
  uint64_t null_seed = 0;

  std::vector<double> sigma;  ///< post's, n
  std::vector<double> turn_u, turn_v;
  std::vector<double> principal_u, principal_v;  ///< PrincipalCurves; empty where they are not defined
  Quantities quantities;
  /// U_bᵀU_p and V_bᵀV_p of post's first vectors, n x PairOptions::leading; null unless asked for.
  std::shared_ptr<const Matrix> leading_u, leading_v;
  RotationCorner corner;  ///< size 0 unless asked for
};

struct PairOptions {
  int64_t null_draws = 1;  ///< at least, if not 0: small matrices without a closed form for α get more (null_draws_for)
  int64_t null_nf_draws = 0;
  uint64_t seed = 0;
  int64_t corner = 0;                           ///< size of the rotation corner, 0: none
  bool update_spectrum = false, masks = false;  ///< whether these quantities are measured
  bool rescale = true;  ///< whether row and column factors are fitted out of E where that takes time
  int64_t leading = 0;  ///< of post's vectors so many are kept in the base's coordinates
};

/// Draws of the null for a matrix whose α has no closed form: enough that its spread does not hang on the seed, 1024/n
/// of them, at least `asked` and at most 16 (or `asked`).
int64_t null_draws_for(int64_t n, int64_t asked);

/// One matrix of the base, decomposed once for all posts, where the thread works. Throws Error naming the tensor for
/// NaN and Inf.
class BaseMatrix {
 public:
  explicit BaseMatrix(const Weight& weight);
  BaseMatrix(const BaseMatrix&) = delete;  // tall_ points to resident_
  BaseMatrix& operator=(const BaseMatrix&) = delete;
  const std::vector<double>& sigma() const { return sigma_; }
  /// Compares with a post of the same shape. Uses the Gram path where its bounds suffice (relative 1e-6 of α and NF),
  /// else the direct SVD.
  PairMeasure compare(const Weight& post, const PairOptions& options);
  /// Where the thread works.
  const Weight& weight() const { return resident_.weight(); }

 private:
  const Decomposition& direct();

  ResidentWeight resident_;
  TallWeight tall_;
  Matrix gram_matrix_;  ///< AᵀA, lower triangle
  Decomposition gram_;
  std::vector<double> sigma_;  ///< of the weight itself; tall_ has a factor
  std::optional<Decomposition> direct_;
  std::optional<BaseMasks> masks_;
};

}  // namespace gyro
