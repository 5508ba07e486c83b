#pragma once

#include <limits>

namespace gyro {

/// How symmetric X = U_bᵀ E V_b is off its diagonal, and what chance makes of that. NaN: not valid.
struct SymmetryTest {
  double product = std::numeric_limits<double>::quiet_NaN();   ///< T = Σ_{i≠j} X_ij X_ji
  double energy = std::numeric_limits<double>::quiet_NaN();    ///< N = Σ_{i≠j} X_ij²
  double null = std::numeric_limits<double>::quiet_NaN();      ///< ρ₀, what T/N is expected to be under chance
  double variance = std::numeric_limits<double>::quiet_NaN();  ///< of T − ρ₀ N under chance
};

/// Which sides turn or are stretched, in the units of N.
struct SideSums {
  double input = std::numeric_limits<double>::quiet_NaN();  ///< Σ_{σ_j>σ_i} X_ij² − X_ji², chance 0
  double input_variance = std::numeric_limits<double>::quiet_NaN();
  double turn = std::numeric_limits<double>::quiet_NaN();  ///< what of T goes as (σ_i − σ_j)²
  double turn_variance = std::numeric_limits<double>::quiet_NaN();
  double stretch = std::numeric_limits<double>::quiet_NaN();  ///< what of T goes as 2σ_iσ_j
  double stretch_variance = std::numeric_limits<double>::quiet_NaN();
};

struct Symmetry {
  SymmetryTest whole;
  SideSums side;
  double fitted = std::numeric_limits<double>::quiet_NaN();  ///< ‖E‖² that row and column factors of W_b take
  SymmetryTest rescaled;                                     ///< of what they leave
};

}  // namespace gyro
