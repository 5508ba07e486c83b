#include <cblas.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "gyro/linalg/linalg.h"

namespace gyro::linalg {
namespace {

void require(bool condition, const char* what) {
  if (!condition) throw std::logic_error(what);
}

CBLAS_TRANSPOSE cblas_op(Op op) {
  return op == Op::None ? CblasNoTrans : CblasTrans;
}
int narrow(int64_t size) {
  return static_cast<int>(size);
}

// Our workers are the threads: OpenBLAS itself must not start any.
[[maybe_unused]] const bool kSingleThreaded = (openblas_set_num_threads(1), true);

}  // namespace

void gemm(Op op_a, Op op_b, double alpha, ConstMatrixView a, ConstMatrixView b, double beta, MatrixView c) {
  const int64_t inner = op_a == Op::None ? a.cols : a.rows;
  require((op_a == Op::None ? a.rows : a.cols) == c.rows && (op_b == Op::None ? b.cols : b.rows) == c.cols &&
              (op_b == Op::None ? b.rows : b.cols) == inner,
          "gemm: sizes do not agree");
  if (c.rows == 0 || c.cols == 0) return;
  cblas_dgemm(CblasColMajor, cblas_op(op_a), cblas_op(op_b), narrow(c.rows), narrow(c.cols), narrow(inner), alpha,
              a.data, narrow(a.ld), b.data, narrow(b.ld), beta, c.data, narrow(c.ld));
}

Matrix product(Op op_a, Op op_b, ConstMatrixView a, ConstMatrixView b) {
  Matrix c(op_a == Op::None ? a.rows : a.cols, op_b == Op::None ? b.cols : b.rows);
  gemm(op_a, op_b, 1, a, b, 0, c);
  return c;
}

void multiply_rows(MatrixView x, const std::vector<double>& factors) {
  for (int64_t j = 0; j < x.cols; ++j) {
    for (int64_t i = 0; i < x.rows; ++i) x(i, j) *= factors[static_cast<size_t>(i)];
  }
}

void divide_rows(MatrixView x, const std::vector<double>& factors) {
  for (int64_t j = 0; j < x.cols; ++j) {
    for (int64_t i = 0; i < x.rows; ++i) x(i, j) /= factors[static_cast<size_t>(i)];
  }
}

void syrk(Op op, double alpha, ConstMatrixView a, double beta, MatrixView c) {
  const int64_t n = op == Op::None ? a.rows : a.cols;
  require(c.rows == n && c.cols == n, "syrk: sizes do not agree");
  if (n == 0) return;
  cblas_dsyrk(CblasColMajor, CblasLower, cblas_op(op), narrow(n), narrow(op == Op::None ? a.cols : a.rows), alpha,
              a.data, narrow(a.ld), beta, c.data, narrow(c.ld));
}

void symm(ConstMatrixView a, ConstMatrixView b, double beta, MatrixView c) {
  require(a.rows == a.cols && a.cols == b.rows && c.rows == a.rows && c.cols == b.cols, "symm: sizes do not agree");
  if (c.rows == 0 || c.cols == 0) return;
  cblas_dsymm(CblasColMajor, CblasLeft, CblasLower, narrow(c.rows), narrow(c.cols), 1, a.data, narrow(a.ld), b.data,
              narrow(b.ld), beta, c.data, narrow(c.ld));
}

double norm(ConstMatrixView a) {
  double sum = 0;
  for (int64_t j = 0; j < a.cols; ++j) sum += cblas_ddot(narrow(a.rows), a.col(j), 1, a.col(j), 1);
  return std::sqrt(sum);
}

std::string library() {
  const std::string config = openblas_get_config();
  const size_t version_end = config.find(' ', config.find(' ') + 1);
  return config.substr(0, version_end) + " (" + openblas_get_corename() + ")";
}

}  // namespace gyro::linalg
