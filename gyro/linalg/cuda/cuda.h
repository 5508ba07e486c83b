#pragma once

#include "gyro/linalg/backend.h"

namespace gyro::linalg {

/// cuBLAS, cuSOLVER and kernels of our own on the calling thread's GPU. Sums are taken in a fixed order: the same input
/// gives the same bits.
class Cuda final : public Backend {
 public:
  void gemm(Op op_a, Op op_b, double alpha, ConstMatrixView a, ConstMatrixView b, double beta,
            MatrixView c) const override;
  void syrk(Op op, double alpha, ConstMatrixView a, double beta, MatrixView c) const override;
  void symm(ConstMatrixView a_lower, ConstMatrixView b, double beta, MatrixView c) const override;
  void scale_rows(MatrixView x, const std::vector<double>& factors, bool divide) const override;
  void scale_columns(MatrixView x, const std::vector<double>& factors, bool divide) const override;
  void add(double alpha, ConstMatrixView x, MatrixView y) const override;
  double dot(ConstMatrixView x, ConstMatrixView y) const override;
  double symmetric_square(ConstMatrixView a_lower) const override;
  std::vector<double> diagonal(ConstMatrixView x) const override;
  void add_to_diagonal(MatrixView x, const std::vector<double>& values) const override;
  void add_with_transpose(ConstMatrixView b_lower, ConstMatrixView c, MatrixView g_lower) const override;
  void transpose(ConstMatrixView x, MatrixView out) const override;
  void multiply_elements(ConstMatrixView x, MatrixView y) const override;
  SymmetrySums symmetry_sums(ConstMatrixView x, const std::vector<double>& sigma) const override;
  void orient_columns(MatrixView s, MatrixView other) const override;
  ChangeSums subtract(ConstMatrixView base, MatrixView post) const override;
  double residual_square(ConstMatrixView base, ConstMatrixView post, double c) const override;
  LineSums line_sums(ConstMatrixView base, ConstMatrixView post, double c, Line line,
                     const std::vector<double>& weights) const override;
  void select_lines(ConstMatrixView x, Line line, const std::vector<int64_t>& lines, MatrixView out) const override;
  std::vector<int64_t> exponent_counts(ConstMatrixView x, const Grid& grid) const override;
  void widen(const Weight& weight, int64_t row0, int64_t row1, int64_t col0, int64_t col1,
             MatrixView out) const override;
  void fill_normal(MatrixView x, double deviation, uint64_t seed, int64_t row0, int64_t col0) const override;
  void fill_bartlett(MatrixView x, double deviation, uint64_t seed, int64_t row0, int64_t rows) const override;
  std::vector<LanczosStep> lanczos(ConstMatrixView a_lower, double beta, MatrixView previous, MatrixView v,
                                   int steps) const override;
  Eigh eigh(Matrix&& a) const override;
  std::vector<double> eigvalsh(Matrix&& a) const override;
  int64_t eigenvalues_above(Matrix&& a, double bound) const override;
  Svd svd(Matrix&& a) const override;
  std::string library() const override;
};

}  // namespace gyro::linalg
