#include "gyro/linalg/cpu/tridiagonal.h"

#include <algorithm>

#include "gyro/base/team.h"
#include "gyro/linalg/cpu/openblas.h"
#include "gyro/linalg/cpu/symv.h"
#include "gyro/linalg/linalg.h"

namespace gyro::linalg {
namespace {

// y += alpha op(A) x.
void add_product(CBLAS_TRANSPOSE op, double alpha, ConstMatrixView a, const double* x, int64_t step, double* y) {
  if (a.rows == 0 || a.cols == 0) return;
  cblas_dgemv(CblasColMajor, op, blas_int(a.rows), blas_int(a.cols), alpha, a.data, blas_int(a.ld), x, blas_int(step),
              1, y, 1);
}

// w = A v for the rows and columns after j, A being what reflectors 0 ... j − 1 of the panel (V in a, W) make of it.
void multiply_updated(ConstMatrixView a, ConstMatrixView w, int64_t j, const double* v, double* product) {
  const int64_t rest = a.rows - j - 1;
  const ConstMatrixView v_panel = a.block(j + 1, 0, rest, j), w_panel = w.block(j + 1, 0, rest, j);
  std::vector<double> dots(static_cast<size_t>(2 * j));
  symv_lower(a.block(j + 1, j + 1, rest, rest), v, product, j % 2 == 0 ? Sweep::Forward : Sweep::Backward);
  add_product(CblasTrans, 1, w_panel, v, 1, dots.data());
  add_product(CblasTrans, 1, v_panel, v, 1, dots.data() + j);
  add_product(CblasNoTrans, -1, v_panel, dots.data(), 1, product);
  add_product(CblasNoTrans, -1, w_panel, dots.data() + j, 1, product);
}

// The first w.cols columns of A to tridiagonal form; W is such that what is left of A is A − V Wᵀ − W Vᵀ (LAPACK's
// dlatrd). Each reflector's leading 1 is written out.
void reduce_panel(MatrixView a, MatrixView w, double* off_diagonal, double* tau) {
  const int64_t n = a.rows;
  for (int64_t j = 0; j < w.cols; ++j) {
    add_product(CblasNoTrans, -1, a.block(j, 0, n - j, j), &w(j, 0), w.ld, &a(j, j));
    add_product(CblasNoTrans, -1, w.block(j, 0, n - j, j), &a(j, 0), a.ld, &a(j, j));
    const int64_t rest = n - j - 1;
    double* v = &a(j + 1, j);
    LAPACKE_dlarfg_work(blas_int(rest), v, v + 1, 1, &tau[j]);
    off_diagonal[j] = *v;
    *v = 1;
    double* product = &w(j + 1, j);
    multiply_updated(a, w, j, v, product);
    cblas_dscal(blas_int(rest), tau[j], product, 1);
    cblas_daxpy(blas_int(rest), -0.5 * tau[j] * cblas_ddot(blas_int(rest), product, 1, v, 1), v, 1, product, 1);
  }
}

// Lower triangle of A −= V Wᵀ + W Vᵀ, both n x k: [V W] [W V]ᵀ in blocks of columns, always the same ones.
void subtract_products(ConstMatrixView v, ConstMatrixView w, MatrixView a) {
  constexpr int64_t kBlock = 256;
  const int64_t n = a.rows, k = v.cols;
  Matrix left(n, 2 * k, Space::Host), right(n, 2 * k, Space::Host);
  copy(v, left.view().block(0, 0, n, k));
  copy(w, left.view().block(0, k, n, k));
  copy(w, right.view().block(0, 0, n, k));
  copy(v, right.view().block(0, k, n, k));
  share(blas_int((n + kBlock - 1) / kBlock), [&](int block) {
    const int64_t begin = block * kBlock, count = std::min(kBlock, n - begin), below = n - begin - count;
    cblas_dsyr2k(CblasColMajor, CblasLower, CblasNoTrans, blas_int(count), blas_int(k), -1, v.data + begin,
                 blas_int(v.ld), w.data + begin, blas_int(w.ld), 1, &a(begin, begin), blas_int(a.ld));
    if (below == 0) return;
    cblas_dgemm(CblasColMajor, CblasNoTrans, CblasTrans, blas_int(below), blas_int(count), blas_int(2 * k), -1,
                left.data() + begin + count, blas_int(n), right.data() + begin, blas_int(n), 1,
                &a(begin + count, begin), blas_int(a.ld));
  });
}

}  // namespace

TridiagonalForm tridiagonalize(MatrixView a) {
  constexpr int64_t kPanel = 16;  // wider ones make the products with a panel dearer than they save of the update
  const int64_t n = a.rows;
  const auto size = static_cast<size_t>(n);
  TridiagonalForm t{std::vector<double>(size), std::vector<double>(size), std::vector<double>(size)};
  std::vector<double> w(size * kPanel);
  for (int64_t j = 0; j < n; j += kPanel) {
    check_stop();
    // The last panel ends with the last reflector, which is of one number and turns nothing.
    const int64_t left = n - j, columns = std::min(kPanel, left - 1), below = left - columns;
    const MatrixView part = a.block(j, j, left, left);
    reduce_panel(part, {w.data(), left, columns, left}, &t.off_diagonal[static_cast<size_t>(j)],
                 &t.tau[static_cast<size_t>(j)]);
    if (columns > 0) {
      subtract_products(part.block(columns, 0, below, columns), {w.data() + columns, below, columns, left},
                        part.block(columns, columns, below, below));
    }
    for (int64_t k = j; k < std::min(j + kPanel, n); ++k) t.diagonal[static_cast<size_t>(k)] = a(k, k);
  }
  return t;
}

// kBlock reflectors at a time: Z -= V (T (Vᵀ Z)) with V written out as a dense trapezoid, so that everything
// is gemm. LAPACK's dormtr takes 32 and copies rows, at half the speed.
void apply_reflectors(ConstMatrixView a, const std::vector<double>& tau, MatrixView z) {
  constexpr int64_t kBlock = 128;
  const int64_t n = a.rows, count = n - 1;
  if (count == 0) return;
  Matrix t(kBlock, kBlock, Space::Host), w(kBlock, n, Space::Host), v(count, std::min(kBlock, count), Space::Host);
  for (int64_t begin = (count - 1) / kBlock * kBlock; begin >= 0; begin -= kBlock) {
    const int64_t k = std::min(kBlock, count - begin), rows = count - begin;
    for (int64_t j = 0; j < k; ++j) {
      double* column = v.col(j);
      std::fill_n(column, j, 0.0);
      column[j] = 1;
      std::copy_n(&a(begin + 1 + j, begin + j) + 1, rows - j - 1, column + j + 1);
    }
    LAPACKE_dlarft_work(LAPACK_COL_MAJOR, 'F', 'C', static_cast<int>(rows), static_cast<int>(k), v.data(),
                        static_cast<int>(count), tau.data() + begin, t.data(), static_cast<int>(kBlock));
    const ConstMatrixView block(v.data(), rows, k, count);
    const MatrixView part = z.block(begin + 1, 0, rows, n), product = w.view().block(0, 0, k, n);
    linalg::gemm(Op::Transpose, Op::None, 1, block, part, 0, product);
    cblas_dtrmm(CblasColMajor, CblasLeft, CblasUpper, CblasNoTrans, CblasNonUnit, static_cast<int>(k),
                static_cast<int>(n), 1, t.data(), static_cast<int>(kBlock), w.data(), static_cast<int>(kBlock));
    linalg::gemm(Op::None, Op::None, -1, block, product, 1, part);
  }
}

}  // namespace gyro::linalg
