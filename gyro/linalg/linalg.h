#pragma once

#include <string>
#include <vector>

#include "gyro/tensor/matrix.h"

/// Dense FP64 linear algebra on host matrices: the operations that the analysis is made of. Each call uses one thread;
/// many calls may run at once. Sizes that do not agree are a programming error (std::logic_error).
namespace gyro::linalg {

enum class Op { None, Transpose };

/// C = alpha op(A) op(B) + beta C. With beta = 0, C may hold anything.
void gemm(Op op_a, Op op_b, double alpha, ConstMatrixView a, ConstMatrixView b, double beta, MatrixView c);

/// op(A) op(B) as a new matrix.
Matrix product(Op op_a, Op op_b, ConstMatrixView a, ConstMatrixView b);

/// Row i of x times, or divided by, factors[i].
void multiply_rows(MatrixView x, const std::vector<double>& factors);
void divide_rows(MatrixView x, const std::vector<double>& factors);

/// Lower triangle of C = alpha A Aᵀ + beta C (Op::None) or alpha Aᵀ A + beta C (Op::Transpose); the strict upper
/// triangle is not touched.
void syrk(Op op, double alpha, ConstMatrixView a, double beta, MatrixView c);

/// C = A B + beta C for a symmetric A given by its lower triangle.
void symm(ConstMatrixView a_lower, ConstMatrixView b, double beta, MatrixView c);

/// Eigenvalues, descending, and orthonormal eigenvectors (columns, same order) of a symmetric matrix.
struct Eigh {
  std::vector<double> values;
  Matrix vectors;
};

/// Decomposes the symmetric matrix whose lower triangle is `a` (destroyed): A V = V diag(values). Backward stable:
/// ‖AV − VΛ‖_F ≲ n u ‖A‖_F. Throws Error("eigh", ...) if the iteration does not converge.
Eigh eigh(Matrix&& a);

/// Eigenvalues only, descending.
std::vector<double> eigvalsh(Matrix&& a);

/// The largest eigenvalue of a positive semi-definite symmetric matrix (lower triangle), by Lanczos with full
/// reorthogonalisation from a fixed start; relative error below `tolerance` (the residual of the Ritz pair is the
/// test).
double largest_eigenvalue(ConstMatrixView a, double tolerance);

/// Reduced SVD A = U diag(values) Vᵀ, values descending, U m x n, V n x n.
struct Svd {
  std::vector<double> values;
  Matrix u;
  Matrix v;
};

/// Direct SVD of a tall m x n matrix, m >= n (destroyed). Backward stable: |δσ_j| ≤ p(m,n) u σ_1. Throws
/// Error("svd", ...) if it does not converge.
Svd svd(Matrix&& a);

/// Q^t for an orthogonal Q: its planes of rotation turn by t times their angle in (−π, π]. Where Q mirrors one
/// direction there is no rotation to it; that direction is multiplied by cos πt, so that it shrinks through zero on the
/// way.
Matrix orthogonal_power(Matrix&& q, double t);

/// Frobenius norm, safe against overflow of single squares only in the range of the weights (no scaling).
double norm(ConstMatrixView a);

/// "OpenBLAS 0.3.21 (SkylakeX)".
std::string library();

}  // namespace gyro::linalg
