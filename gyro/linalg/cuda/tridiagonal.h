#pragma once

#include <cstdint>

#include "gyro/linalg/cuda/handles.h"

/// For the CUDA sources only. A = Q T Qᵀ in two stages: to a band by gemms, and the band to a tridiagonal matrix by
/// chasing bulges down it (Bischof, Lang and Sun's successive band reduction).
namespace gyro::linalg {

/// Subdiagonals of the band. A warp's lanes are the rows of a block of it.
inline constexpr int kBand = 32;

/// Reflectors of the first stage that are applied together.
inline constexpr int64_t kGroup = 128;

/// A = Q B Qᵀ, B of kBand subdiagonals, Q = H_0 H_1 ... with H_j = I − tau_j v_j v_jᵀ.
struct BandForm {
  explicit BandForm(int64_t n);
  /// 2 kBand x n: element (d, j) is B(j + d, j). The lower half is room for bulges.
  Matrix band;
  /// V, n x n and zero columns up to a multiple of kGroup; column j: v_j, zero down to row j + kBand − 1, 1 in the
  /// next.
  Matrix reflectors;
  Scratch<double> tau;  ///< as many as V has columns, zero where nothing is reflected
};

/// From the lower triangle of `a` (destroyed), n > kBand. A panel of kBand columns is factored by one cluster of
/// blocks; two products with the trailing matrix follow.
BandForm reduce_to_band(MatrixView a_lower);

/// B = Q T Qᵀ, T tridiagonal. Sweep s = 0, 1, ... brings column s into form by reflectors H(s, t), t = 0, 1, ..., each
/// of the kBand rows from s + 1 + t kBand on; Q is their product in this order.
struct Tridiagonal {
  explicit Tridiagonal(int64_t n);
  int64_t n;
  int64_t steps;                           ///< the most reflectors of a sweep
  Scratch<double> diagonal, off_diagonal;  ///< n each; off_diagonal[j] couples j and j + 1
  Matrix reflectors;                       ///< n x n, column s: the vectors of H(s, t) in their rows
  Scratch<double> tau;                     ///< steps x n, of H(s, t) at [t + s steps]
};

/// Takes `b` apart (its band is destroyed). A block of threads takes one sweep after the other; each sweep follows the
/// one before it two to three steps behind.
Tridiagonal chase_bulges(BandForm& b);

/// Z = Q Z for the Q of either stage.
void apply_reflectors(const BandForm& b, MatrixView z);
void apply_reflectors(const Tridiagonal& t, MatrixView z);

/// Whether the thread's GPU runs kernels as clusters of 16 blocks (compute capability 9.0 or later, a build for it, and
/// as many multiprocessors side by side).
bool has_clusters();
/// Whether it can do all this for a matrix of size n: kBand < n <= 8192, and it has clusters.
bool can_tridiagonalize(int64_t n);

/// Eigenvalues of T, descending, by bisection: within a few u ‖T‖.
void tridiagonal_eigenvalues(const Tridiagonal& t, double* values);

/// Unit eigenvectors of T for eigenvalues found by bisection, as rows of `rows` (n x n), each by a twisted
/// factorisation (as MRRR's getvec): residuals of a few u ‖T‖, but orthogonal only to u ‖T‖ / gap.
void tridiagonal_eigenvectors(const Tridiagonal& t, const double* values, MatrixView rows);

}  // namespace gyro::linalg
