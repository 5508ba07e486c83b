#include "gyro/linalg/cpu/cpu.h"
#include "gyro/linalg/cpu/openblas.h"
#include "gyro/linalg/cpu/symv.h"

namespace gyro::linalg {
namespace {

CBLAS_TRANSPOSE cblas_op(Op op) {
  return op == Op::None ? CblasNoTrans : CblasTrans;
}
int narrow(int64_t size) {
  return static_cast<int>(size);
}

// Our workers are the threads: OpenBLAS itself must not start any.
[[maybe_unused]] const bool kSingleThreaded = (openblas_set_num_threads(1), true);

}  // namespace

const Backend& cpu() {
  static const Cpu backend;
  return backend;
}

void Cpu::gemm(Op op_a, Op op_b, double alpha, ConstMatrixView a, ConstMatrixView b, double beta, MatrixView c) const {
  cblas_dgemm(CblasColMajor, cblas_op(op_a), cblas_op(op_b), narrow(c.rows), narrow(c.cols),
              narrow(op_a == Op::None ? a.cols : a.rows), alpha, a.data, narrow(a.ld), b.data, narrow(b.ld), beta,
              c.data, narrow(c.ld));
}

void Cpu::syrk(Op op, double alpha, ConstMatrixView a, double beta, MatrixView c) const {
  cblas_dsyrk(CblasColMajor, CblasLower, cblas_op(op), narrow(c.rows), narrow(op == Op::None ? a.cols : a.rows), alpha,
              a.data, narrow(a.ld), beta, c.data, narrow(c.ld));
}

void Cpu::symm(ConstMatrixView a, ConstMatrixView b, double beta, MatrixView c) const {
  if (b.cols == 1) {
    std::vector<double> product(static_cast<size_t>(a.rows));
    symv_lower(a, b.data, product.data(), Sweep::Forward);
    for (int64_t i = 0; i < a.rows; ++i) c(i, 0) = beta == 0 ? product[i] : product[i] + beta * c(i, 0);
    return;
  }
  cblas_dsymm(CblasColMajor, CblasLeft, CblasLower, narrow(c.rows), narrow(c.cols), 1, a.data, narrow(a.ld), b.data,
              narrow(b.ld), beta, c.data, narrow(c.ld));
}

void Cpu::add(double alpha, ConstMatrixView x, MatrixView y) const {
  for (int64_t j = 0; j < x.cols; ++j) cblas_daxpy(narrow(x.rows), alpha, x.col(j), 1, y.col(j), 1);
}

double Cpu::dot(ConstMatrixView x, ConstMatrixView y) const {
  double sum = 0;
  for (int64_t j = 0; j < x.cols; ++j) sum += cblas_ddot(narrow(x.rows), x.col(j), 1, y.col(j), 1);
  return sum;
}

std::vector<LanczosStep> Cpu::lanczos(ConstMatrixView a, double beta, MatrixView previous, MatrixView v,
                                      int steps) const {
  const int n = narrow(a.rows);
  std::vector<LanczosStep> out;
  std::vector<double> next(static_cast<size_t>(n));
  for (int step = 0; step < steps; ++step) {
    symv_lower(a, v.data, next.data(), step % 2 == 0 ? Sweep::Forward : Sweep::Backward);
    cblas_daxpy(n, -beta, previous.data, 1, next.data(), 1);
    const double alpha = cblas_ddot(n, v.data, 1, next.data(), 1);
    cblas_daxpy(n, -alpha, v.data, 1, next.data(), 1);
    beta = cblas_dnrm2(n, next.data(), 1);
    out.push_back({alpha, beta});
    if (beta == 0) break;
    for (int64_t i = 0; i < n; ++i) {
      previous(i, 0) = v(i, 0);
      v(i, 0) = next[static_cast<size_t>(i)] / beta;
    }
  }
  return out;
}

std::string Cpu::library() const {
  const std::string config = openblas_get_config();
  const size_t version_end = config.find(' ', config.find(' ') + 1);
  return config.substr(0, version_end) + " (" + openblas_get_corename() + ")";
}

}  // namespace gyro::linalg
