#pragma once

#include <cstdint>

#include "gyro/linalg/cuda/handles.h"

/// For the CUDA sources only.
namespace gyro::linalg {

/// A = Q T Qᵀ of a symmetric matrix, T tridiagonal, Q = H_0 H_1 ... H_{n−2} with H_j = I − tau_j v_j v_jᵀ.
struct Tridiagonal {
  explicit Tridiagonal(int64_t n) : diagonal(n), off_diagonal(n), tau(n), reflectors(n, n) {}
  Scratch<double> diagonal, off_diagonal, tau;  ///< n each; off_diagonal[j] couples j and j + 1
  Matrix reflectors;                            ///< column j: v_j, zero down to row j, 1 in row j + 1
};

/// Whether tridiagonalize takes a matrix of this size on the thread's GPU: it needs clusters of blocks (compute
/// capability 9.0), and three vectors must fit into a multiprocessor's shared memory.
bool can_tridiagonalize(int64_t n);

/// From the lower triangle of `a` (all of which is destroyed; its leading dimension is even, and a row beyond the last
/// is finite). One kernel works through a panel of columns, its blocks exchanging what they need of each other; each
/// column costs one pass over the lower triangle of the trailing matrix, and the panel's update is a gemm.
Tridiagonal tridiagonalize(MatrixView a);

/// Z = Q Z.
void apply_reflectors(const Tridiagonal& t, MatrixView z);

/// Eigenvalues of T, descending, by bisection: within a few u ‖T‖.
void tridiagonal_eigenvalues(const Tridiagonal& t, int64_t n, double* values);

/// Unit eigenvectors of T for eigenvalues found by bisection, as rows of `rows` (n x n), each by a twisted
/// factorisation (as MRRR's getvec): residuals of a few u ‖T‖, but orthogonal only to u ‖T‖ / gap.
void tridiagonal_eigenvectors(const Tridiagonal& t, const double* values, MatrixView rows);

}  // namespace gyro::linalg
