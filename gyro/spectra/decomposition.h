#pragma once

#include <vector>

#include "gyro/spectra/tall.h"

namespace gyro {

/// How singular values and vectors were got: from the eigenproblem of the Gram matrix, or by a direct SVD.
enum class Method { Gram, Svd };

/// The SVD of one tall matrix, A = L diag(sigma) Sᵀ, with bounds on what it is wrong by. Signs: the largest entry of
/// each column of S is positive; L follows.
struct Decomposition {
  Method method = Method::Gram;
  int64_t m = 0;
  int64_t n = 0;
  double norm = 0;            ///< ‖A‖_F
  std::vector<double> sigma;  ///< descending, n
  Matrix short_vectors;       ///< S, n x n
  Matrix long_vectors;        ///< L, m x n, of a direct SVD only; else L = A S Σ⁻¹ and is not formed

  /// Gram: bound on |δ(σ_j²)|, design §1: 'eta'.
  double eta = 0;
  /// Gram: bound on ‖LᵀL − I‖_F for L = A S Σ⁻¹. By Ostrowski's theorem half of it bounds the relative error of every
  /// σ_j; infinite where the Gram matrix does not resolve the smallest one. A LongSideProbe measures it.
  double long_side = 0;
  /// Direct: bound on ‖A − L Σ Sᵀ‖_F.
  double residual = 0;
  /// Bound on ‖SᵀS − I‖_F (direct: plus ‖LᵀL − I‖_F).
  double orthogonality = 0;

  /// Number of singular values above max(m, n) eps σ_1 (as numpy.linalg.matrix_rank counts).
  int64_t rank() const;
  /// Whether the smallest σ² stands clear of eta, so that the Gram path may divide by σ.
  bool resolved() const;
  /// Bound on the relative error of sigma[j]; infinite for σ_j = 0.
  double relative_error(int64_t j) const;
  /// Whether sigma[j] and sigma[j + 1] differ by more than their errors; a cluster's vectors are any that span it.
  bool told_apart(int64_t j) const;
  /// Bound on the error of the polar factor L Sᵀ in Frobenius norm; infinite for a rank-deficient A.
  double polar_error() const;
};

/// Bounds come from residuals that are measured, not assumed: ‖R‖_F is estimated from R Z with kProbes gaussian columns
/// and multiplied by kProbeFactor. The estimate falls short of the truth with probability below 1e-7, whatever R is
/// (χ²_16 < 1; SLATE's and LAPACK's testers use the same idea with one column).
inline constexpr int64_t kProbes = 16;
inline constexpr double kProbeFactor = 4;
/// A gaussian n x kProbes matrix, the same for the same n.
Matrix probe_columns(int64_t n);
/// kProbeFactor ‖rz‖_F / √kProbes for rz = R Z: the bound on ‖R‖_F.
double probed_norm(ConstMatrixView rz);
/// The bound on ‖QᵀQ − I‖_F, probed.
double orthogonality_of(ConstMatrixView q);

/// From the lower triangle of G = AᵀA (kept). `gram_norm_squared` is the sum of squares whose rounding went into G:
/// ‖A‖_F² if G was summed from A. `long_side` is left infinite.
Decomposition decompose_gram(const Matrix& g, int64_t m, double norm, double gram_norm_squared);

/// One pass over A for its Gram matrix (written to `g`, lower triangle), the decomposition of that, and one more for
/// long_side where the smallest σ is resolved. Throws Error naming the tensor for NaN and Inf.
Decomposition decompose_by_gram(const TallWeight& a, Matrix& g);

/// Probes L = A S Σ⁻¹ for orthogonality in one pass over A's panels. The decomposition must outlive it.
class LongSideProbe {
 public:
  explicit LongSideProbe(const Decomposition& d);
  /// The panel's rows of L Z (count x kProbes), Z the probe columns.
  Matrix visit(const Panel& panel);
  /// Once every panel has been visited: estimate of ‖LᵀL − I‖_F, as long_side.
  double departure() const;

 private:
  const Decomposition& d_;
  Matrix x_, adjoint_;  // S Σ⁻¹ Z, and AᵀL Z of the panels so far
};

/// Measures long_side with one pass over A.
void measure_long_side(const TallWeight& a, Decomposition& d);

/// By a direct SVD (linalg::svd) of all of A. Throws Error naming the tensor for NaN and Inf.
Decomposition decompose_direct(const TallWeight& a);

}  // namespace gyro
