#pragma once

#include <optional>

#include "gyro/linalg/linalg.h"

namespace gyro::linalg {

/// Z (ZᵀZ)^-½ by Newton and Schulz's iteration, for Z of m x n with ‖ZᵀZ − I‖_F < ½: orthonormal within n u, and its
/// span is Z's. False, and Z in an undefined state, where the iteration does not converge.
bool orthonormalize(Matrix& z);

/// Two steps of the iteration within runs of 128 neighbouring columns, and two within runs that begin 64 later, at a
/// fraction of the cost of a whole one: columns that are close to their neighbours only are nearly done by it. Columns
/// after the last full run are left alone.
void orthonormalize_runs(Matrix& z);

/// A = U Σ Vᵀ by way of a polar factor. With V and σ of the Gram matrix, A V diag(1/σ) is nearly orthonormal. P is made
/// of it: orthonormal, and turned until M = Pᵀ A V is symmetric, by Newton's method: P (I + Ω) with
/// Ω_ij = (M_ij − M_ji) / (σ_i + σ_j), where no gap between singular values is divided by. Then M = W Σ Wᵀ, U = P W and
/// V W. The residual ‖A − U Σ Vᵀ‖_F is tens of u ‖A‖_F, as after a bidiagonalisation. Nothing where the Gram matrix
/// does not resolve the smallest singular value (below about 1e-7 of the largest), and where ‖A‖ is not within 2^±200.
std::optional<Svd> svd_by_polar_factor(const Matrix& a);

}  // namespace gyro::linalg
