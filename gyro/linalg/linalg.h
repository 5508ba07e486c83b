#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "gyro/linalg/grid.h"
#include "gyro/tensor/matrix.h"
#include "gyro/tensor/weight.h"

/// Dense FP64 linear algebra: the operations that the analysis is made of, on the host (cpu/) or on the GPU that the
/// calling thread works on (cuda/), wherever the operands lie; those of one call lie together. Each call uses one host
/// thread; many calls may run at once. Sizes or spaces that do not agree are a programming error (std::logic_error).
namespace gyro::linalg {

enum class Op { None, Transpose };

/// C = alpha op(A) op(B) + beta C. With beta = 0, C may hold anything.
void gemm(Op op_a, Op op_b, double alpha, ConstMatrixView a, ConstMatrixView b, double beta, MatrixView c);

/// op(A) op(B) as a new matrix.
Matrix product(Op op_a, Op op_b, ConstMatrixView a, ConstMatrixView b);

/// Lower triangle of C = alpha A Aᵀ + beta C (Op::None) or alpha Aᵀ A + beta C (Op::Transpose); the strict upper
/// triangle is not touched.
void syrk(Op op, double alpha, ConstMatrixView a, double beta, MatrixView c);

/// C = A B + beta C for a symmetric A given by its lower triangle.
void symm(ConstMatrixView a_lower, ConstMatrixView b, double beta, MatrixView c);

/// Row i, or column j, of x times, or divided by, its factor.
void multiply_rows(MatrixView x, const std::vector<double>& factors);
void divide_rows(MatrixView x, const std::vector<double>& factors);
void multiply_columns(MatrixView x, const std::vector<double>& factors);
void divide_columns(MatrixView x, const std::vector<double>& factors);

/// Y += alpha X.
void add(double alpha, ConstMatrixView x, MatrixView y);
/// ⟨X, Y⟩ = Σ x_ij y_ij.
double dot(ConstMatrixView x, ConstMatrixView y);
/// Frobenius norm, safe against overflow of single squares only in the range of the weights (no scaling).
double norm(ConstMatrixView a);
/// The same of a symmetric matrix given by its lower triangle.
double symmetric_norm(ConstMatrixView a_lower);

/// The diagonal of a square matrix, and adding to it.
std::vector<double> diagonal(ConstMatrixView x);
void add_to_diagonal(MatrixView x, const std::vector<double>& values);

/// Lower triangle of G += B + C + Cᵀ, B given by its lower triangle.
void add_with_transpose(ConstMatrixView b_lower, ConstMatrixView c, MatrixView g_lower);

/// Xᵀ as a new matrix.
Matrix transposed(ConstMatrixView x);

/// Y = X ∘ Y, elementwise; X may be Y.
void multiply_elements(ConstMatrixView x, MatrixView y);

/// Sums over a square X: ‖diag X‖², the squared norms of the symmetric and the antisymmetric part of the rest, and over
/// the pairs i < j, with x = X_ij, y = X_ji, t = 2xy, p = (σ_i − σ_j)², q = 2σ_iσ_j and w = p/(p + q):
struct SymmetrySums {
  double diagonal = 0, symmetric = 0, antisymmetric = 0;
  double products = 0;                 ///< Σ x² y²
  double sides = 0, side_squares = 0;  ///< Σ y² − x² and Σ (y² − x²)² where σ_i ≠ σ_j
  double tw = 0, pw = 0, qw = 0;       ///< Σ t w, Σ p w, Σ q w
  double ttw = 0, ttww = 0;            ///< Σ t² w, Σ t² w²
};
SymmetrySums symmetry_sums(ConstMatrixView x, const std::vector<double>& sigma);

/// Flips columns of `s` so that the entry of largest magnitude is positive (the first of equal ones); `other` (may be
/// empty) flips with it.
void orient_columns(MatrixView s, MatrixView other);

/// post −= base, elementwise, and what a pass over both yields.
struct ChangeSums {
  double inner = 0;   ///< ⟨base, post − base⟩
  double change = 0;  ///< ‖post − base‖²
  double post = 0;    ///< ‖post‖²
  int64_t unchanged = 0;
};
ChangeSums subtract(ConstMatrixView base, MatrixView post);

/// Σ (post − c base)².
double residual_square(ConstMatrixView base, ConstMatrixView post, double c);

/// By rows i or columns j, with e = post − c base and a weight w for each place along the line:
struct LineSums {
  std::vector<double> residual;  ///< Σ e²
  std::vector<double> square;    ///< Σ base²
  std::vector<double> product;   ///< Σ base e
  std::vector<double> weighted;  ///< Σ w base²
};
enum class Line { Row, Column };
LineSums line_sums(ConstMatrixView base, ConstMatrixView post, double c, Line line, const std::vector<double>& weights);

/// out(:, k) = row, or column, number lines[k] of x.
void select_lines(ConstMatrixView x, Line line, const std::vector<int64_t>& lines, MatrixView out);

/// How many entries that are on a grid have each of FP64's 2048 exponents (biased by 1023; 0: zero, or smaller than
/// 2^-1022). By itself of all.
inline constexpr size_t kExponents = 2048;
std::vector<int64_t> exponent_counts(ConstMatrixView x, const Grid& grid = {});

/// Rows [row0, row1) and columns [col0, col1) of a stored weight, as the columns of `out` ((col1 − col0) x
/// (row1 − row0)), in FP64. `out` lies where the weight does.
void widen(const Weight& weight, int64_t row0, int64_t row1, int64_t col0, int64_t col1, MatrixView out);

/// All of a weight in FP64, in the stored layout: column-major d_in x d_out.
Matrix widen(const Weight& weight);

/// x = a block, beginning at (row0, col0), of the infinite matrix of independent normal numbers that belongs to `seed`,
/// times `deviation`. row0 is a multiple of kRandomRows. The same numbers on every device, up to rounding.
inline constexpr int64_t kRandomRows = 128;
void fill_normal(MatrixView x, double deviation, uint64_t seed, int64_t row0, int64_t col0);
/// Rows [row0, row0 + x.rows) and columns [row0, row0 + x.cols) of the upper-trapezoidal Bartlett factor R of `rows`
/// rows of such numbers: RᵀR is distributed as EᵀE, E rows x n.
void fill_bartlett(MatrixView x, double deviation, uint64_t seed, int64_t row0, int64_t rows);

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

/// Eigenvalues, descending, of a tridiagonal symmetric matrix: its diagonal (n) and what is beside it (n − 1). On the
/// host wherever the thread works.
std::vector<double> tridiagonal_eigenvalues(std::vector<double> diagonal, std::vector<double> off_diagonal);

/// How many eigenvalues of the symmetric matrix whose lower triangle is `a` (destroyed) are above `bound`, by
/// Sylvester's law of inertia: the positive pivots of A − bound I = L D Lᵀ. Those within rounding of it, n u ‖A‖, count
/// either way.
int64_t eigenvalues_above(Matrix&& a, double bound);

/// Reduced SVD A = U diag(values) Vᵀ, values descending, U m x n, V n x n.
struct Svd {
  std::vector<double> values;
  Matrix u;
  Matrix v;
};

/// Direct SVD of a tall m x n matrix, m >= n (destroyed). Backward stable: |δσ_j| ≤ p(m,n) u σ_1. Throws
/// Error("svd", ...) if it does not converge.
Svd svd(Matrix&& a);

/// What does the work where the calling thread works: "OpenBLAS 0.3.21 (SkylakeX)".
std::string library();

/// One line that says that the host's library runs generic kernels on a processor that has better, and what to do;
/// empty where it does not.
std::string library_warning();

/// Opens the libraries that a GPU's operations need, which they would else do when first asked: 0.1 s that can pass
/// while CUDA starts. Throws Error naming one that is missing.
void open_gpu_libraries();

}  // namespace gyro::linalg
