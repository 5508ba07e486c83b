#pragma once

#include "gyro/linalg/linalg.h"

namespace gyro::linalg {

/// α of a step, and β that leads to the next vector.
struct LanczosStep {
  double alpha = 0, beta = 0;
};

/// What a device must do; linalg.h says what each means, and linalg.cc has checked sizes and spaces.
class Backend {
 public:
  virtual ~Backend() = default;
  virtual void gemm(Op op_a, Op op_b, double alpha, ConstMatrixView a, ConstMatrixView b, double beta,
                    MatrixView c) const = 0;
  virtual void syrk(Op op, double alpha, ConstMatrixView a, double beta, MatrixView c) const = 0;
  virtual void symm(ConstMatrixView a_lower, ConstMatrixView b, double beta, MatrixView c) const = 0;
  virtual void scale_rows(MatrixView x, const std::vector<double>& factors, bool divide) const = 0;
  virtual void scale_columns(MatrixView x, const std::vector<double>& factors, bool divide) const = 0;
  virtual void add(double alpha, ConstMatrixView x, MatrixView y) const = 0;
  virtual double dot(ConstMatrixView x, ConstMatrixView y) const = 0;
  virtual double symmetric_square(ConstMatrixView a_lower) const = 0;
  virtual std::vector<double> diagonal(ConstMatrixView x) const = 0;
  virtual void add_to_diagonal(MatrixView x, const std::vector<double>& values) const = 0;
  virtual void add_with_transpose(ConstMatrixView b_lower, ConstMatrixView c, MatrixView g_lower) const = 0;
  virtual void transpose(ConstMatrixView x, MatrixView out) const = 0;
  virtual void multiply_elements(ConstMatrixView x, MatrixView y) const = 0;
  virtual SymmetrySums symmetry_sums(ConstMatrixView x, const std::vector<double>& sigma) const = 0;
  virtual void orient_columns(MatrixView s, MatrixView other) const = 0;
  virtual ChangeSums subtract(ConstMatrixView base, MatrixView post) const = 0;
  virtual double residual_square(ConstMatrixView base, ConstMatrixView post, double c) const = 0;
  virtual LineSums line_sums(ConstMatrixView base, ConstMatrixView post, double c, Line line,
                             const std::vector<double>& weights) const = 0;
  virtual void select_lines(ConstMatrixView x, Line line, const std::vector<int64_t>& lines, MatrixView out) const = 0;
  virtual std::vector<int64_t> exponent_counts(ConstMatrixView x, const Grid& grid) const = 0;
  virtual void widen(const Weight& weight, int64_t row0, int64_t row1, int64_t col0, int64_t col1,
                     MatrixView out) const = 0;
  virtual void fill_normal(MatrixView x, double deviation, uint64_t seed, int64_t row0, int64_t col0) const = 0;
  virtual void fill_bartlett(MatrixView x, double deviation, uint64_t seed, int64_t row0, int64_t rows) const = 0;
  /// Lanczos steps without reorthogonalisation: v and previous (n x 1) go on, `steps` pairs (α, β) are returned.
  virtual std::vector<LanczosStep> lanczos(ConstMatrixView a_lower, double beta, MatrixView previous, MatrixView v,
                                           int steps) const = 0;
  virtual Eigh eigh(Matrix&& a) const = 0;
  virtual std::vector<double> eigvalsh(Matrix&& a) const = 0;
  virtual int64_t eigenvalues_above(Matrix&& a, double bound) const = 0;
  virtual Svd svd(Matrix&& a) const = 0;
  virtual std::string library() const = 0;
};

const Backend& cpu();
/// cuda/, or no_cuda/, which throws.
const Backend& cuda();
const Backend& backend_of(Space space);

}  // namespace gyro::linalg
