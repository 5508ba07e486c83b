#pragma once

#include <cstdint>
#include <vector>

#include "gyro/linalg/linalg.h"
#include "gyro/tensor/matrix.h"

namespace gyro {

/// ‖E‖_F² by what it does to the base's singular coordinates, X = U_bᵀ E V_b (design §1, 'energy budget').
struct EnergyBudget {
  double total = 0;             ///< ‖E‖²
  double scaling = 0;           ///< ‖diag X‖²
  double co_rotation = 0;       ///< ‖off-diagonal symmetric part of X‖²
  double counter_rotation = 0;  ///< ‖antisymmetric part of X‖²
  double leakage() const;       ///< the rest: out of the base's span; NaN where a part is
};
/// From the sums over X (n x n, either orientation of the pair); `total` is given.
EnergyBudget energy_budget(const linalg::SymmetrySums& sums, double total);

/// Standard deviation of counter/co under chance, √(8 / (n(n−1))); infinite for n = 1.
double counter_over_co_sd(int64_t n);

/// ‖(Dᵀ Q)[:k, :k]‖_F for an orthogonal Q: D = Q_1 − Q_2 and Q = Q_2 give the leading block of I_orth − I. Costs
/// 2nk(n − k) flops: what falls outside the block is taken from ‖D[:, :k]‖_F.
double leading_block_norm(ConstMatrixView d, ConstMatrixView q, int64_t k);

/// ‖QᵀQ − I‖_F / √n, the departure from orthogonality.
double orthogonality_departure(ConstMatrixView q);

/// polar(Q_1 + Q_2), the rotation that both sides have in common (eq. 13), of Q_1 and Q_2 whose singular values are at
/// most 1. Where the sum vanishes (a singular value of the mean below 1e-7, what factors are right to) the two turn the
/// opposite way, and nothing is in common: Q is Q_2's there, as it is of polar(Q_1 + (1 + ε)Q_2), and `complete` false.
struct PolarFactor {
  Matrix q;
  bool complete = true;
};
PolarFactor common_rotation(ConstMatrixView q1, ConstMatrixView q2);

/// The first `size` dimensions of the matrices of eqs. 5, 7 and 13: each size x size in F32, row-major, row = base's
/// index, column = post's (i_orth, delta: both post's).
struct RotationCorner {
  int64_t size = 0;
  bool polar_complete = true;  ///< false: Q_1 + Q_2 vanishes in a direction of these columns, which ΔQ leaves out
  std::vector<float> sim_u, sim_v, sim_diff, i_orth, delta_q1, delta_q2;
};
/// From Q_1 = U_bᵀU_p and Q_2 = V_bᵀV_p (n x n each). Costs some products with n x size matrices, or for models far
/// from each other an eigenproblem of size n, for polar(Q_1 + Q_2).
RotationCorner rotation_corner(ConstMatrixView q1, ConstMatrixView q2, int64_t size);

}  // namespace gyro
