#pragma once

#include <cstdint>
#include <limits>
#include <vector>

#include "gyro/linalg/linalg.h"
#include "gyro/spectra/decomposition.h"

namespace gyro {

// How symmetric X = U_bᵀ E V_b is off its diagonal (design §1, 'energy budget'), against what E's own pattern of sizes
// gives with random signs; which sides turn; and what is left of it once rows and columns may be scaled. NaN: not
// valid.

/// T = Σ_{i≠j} X_ij X_ji is symmetric less antisymmetric energy, N = Σ_{i≠j} X_ij² their sum.
struct SymmetryTest {
  double product = std::numeric_limits<double>::quiet_NaN();   ///< T
  double energy = std::numeric_limits<double>::quiet_NaN();    ///< N
  double null = std::numeric_limits<double>::quiet_NaN();      ///< ρ₀, what T/N is expected to be under chance
  double variance = std::numeric_limits<double>::quiet_NaN();  ///< of T − ρ₀ N under chance
};

/// σ_j/σ_1, with which the sums over X's pairs are taken, so that no product of them overflows.
std::vector<double> relative_sigma(const Decomposition& d);

/// Which sides turn or are stretched, in the units of N, each with its variance under chance. Pairs i < j: if both
/// sides turn alike X_ij X_ji goes as (σ_i − σ_j)²; if one side is stretched (E = M W, M symmetric) as σ_iσ_j, if it
/// turns alone as −σ_iσ_j: T is split into the two so that T and Σ 2 X_ij X_ji w, w = (σ_i − σ_j)²/(σ_i² + σ_j²), are
/// met. And the entry whose column's σ (output side: whose row's) is the larger one is the larger.
struct SideSums {
  double input = std::numeric_limits<double>::quiet_NaN();       ///< Σ_{σ_j>σ_i} X_ij² − X_ji², X = U_bᵀ E V_b
  double input_null = std::numeric_limits<double>::quiet_NaN();  ///< what E's sizes with random signs give of it
  double input_variance = std::numeric_limits<double>::quiet_NaN();
  double turn = std::numeric_limits<double>::quiet_NaN();  ///< what of T goes as (σ_i − σ_j)²
  double turn_variance = std::numeric_limits<double>::quiet_NaN();
  double stretch = std::numeric_limits<double>::quiet_NaN();  ///< what of T goes as 2σ_iσ_j
  double stretch_variance = std::numeric_limits<double>::quiet_NaN();
};
/// All but input_null.
SideSums side_sums(const linalg::SymmetrySums& sums, const std::vector<double>& sigma, bool transposed);

/// E ≈ f_i A_ij + A_ij g_j by least squares, row and column factors in turn: one pass over the panels of base and post
/// is one round. A m x n, E = A_p − c A.
class FactorFit {
 public:
  FactorFit(int64_t m, int64_t n);
  /// Of each panel once a round, in order.
  void visit(const Panel& base, const Panel& post, double c);
  void end_round();
  /// Whether the last round moved the fit by less than 1e-4 of its norm.
  bool settled() const { return moved_ <= 1e-8 * fitted_; }
  double fitted() const { return fitted_; }  ///< ⟨E, fit⟩, which is ‖fit‖² once it has settled
  const std::vector<double>& row_factors() const { return row_factors_; }
  const std::vector<double>& column_factors() const { return column_factors_; }
  const linalg::LineSums& rows() const { return rows_; }        ///< of the last round; m
  const linalg::LineSums& columns() const { return columns_; }  ///< n

 private:
  linalg::LineSums rows_, columns_;
  std::vector<double> row_factors_, column_factors_;
  double fitted_ = 0, moved_ = 0;
};

struct Symmetry {
  SymmetryTest whole;
  SideSums side;
  double fitted = std::numeric_limits<double>::quiet_NaN();  ///< ‖E‖² that row and column factors of W_b take
  SymmetryTest rescaled;                                     ///< of what they leave
};

struct SymmetryInput {
  const TallWeight& base;
  const TallWeight& post;
  double c = 1;
  const Decomposition& decomposition;  ///< base's
  const Matrix& gram;                  ///< base's, lower triangle
  const Matrix& x;                     ///< long-side vectors first (n x n)
  const linalg::SymmetrySums& sums;    ///< of x with the base's σ
  FactorFit& fit;                      ///< after its first round
  bool rescale = false;                ///< whether the fit is wanted
};
/// ρ₀ is exact where the long side has at most 512 rows; else it is estimated from 64 rows, drawn with a probability
/// that goes as their share of ‖E‖², and the variance of the estimate is in `variance`. The fit costs mn² + 5n³ and is
/// made where n ≤ 512 or the whole is beyond 3 standard deviations.
Symmetry measure_symmetry(const SymmetryInput& input);

}  // namespace gyro
