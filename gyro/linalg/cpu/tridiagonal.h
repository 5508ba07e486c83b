#pragma once

#include <vector>

#include "gyro/tensor/matrix.h"

namespace gyro::linalg {

/// A = Q T Qᵀ with T tridiagonal; the reflectors of Q stay in A below its first subdiagonal, the leading 1 of each left
/// out (LAPACK's dsytrd, lower).
struct TridiagonalForm {
  std::vector<double> diagonal;      ///< n
  std::vector<double> off_diagonal;  ///< n − 1, and a last one that is not used
  std::vector<double> tau;           ///< as off_diagonal
};

/// Of the symmetric matrix (on the host) whose lower triangle is `a`, which is overwritten. Backward stable.
TridiagonalForm tridiagonalize(MatrixView a);

/// Z = Q Z (n x n): the reflectors that tridiagonalize left in `a`.
void apply_reflectors(ConstMatrixView a, const std::vector<double>& tau, MatrixView z);

}  // namespace gyro::linalg
