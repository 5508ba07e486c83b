#include <algorithm>
#include <utility>

#include "gyro/base/team.h"
#include "gyro/linalg/cpu/cpu.h"
#include "gyro/linalg/cpu/openblas.h"
#include "gyro/linalg/cpu/symv.h"

namespace gyro::linalg {
namespace {

CBLAS_TRANSPOSE cblas_op(Op op) {
  return op == Op::None ? CblasNoTrans : CblasTrans;
}

// Columns of C go to threads in multiples of this many: a multiple of what any kernel works on at once, so that every
// entry is summed in the same order, and has the same bits, however many threads there are (shared_test looks).
constexpr int64_t kColumnUnit = 96;

// Into how many parts to cut `columns` columns that take `flops` each: as many as there are threads that would take
// them, and so many that none takes much longer than a tenth of a second, since a run can be stopped between them.
int64_t parts_for(int64_t columns, double flops) {
  constexpr double kWorthIt = 2e7;  // half a millisecond; offering a part takes some microseconds
  constexpr double kLong = 4e9;
  const int64_t threads = threads_to_share(), units = (columns + kColumnUnit - 1) / kColumnUnit;
  const double all = flops * static_cast<double>(columns);
  const int64_t shared = std::min(threads, static_cast<int64_t>(all / kWorthIt));
  return std::max<int64_t>(1, std::min(units, std::max(shared, static_cast<int64_t>(all / kLong))));
}

// Columns [first, second) of one part.
std::pair<int64_t, int64_t> part_of(int64_t columns, int64_t parts, int64_t part) {
  const int64_t units = (columns + kColumnUnit - 1) / kColumnUnit;
  return {std::min(columns, units * part / parts * kColumnUnit),
          std::min(columns, units * (part + 1) / parts * kColumnUnit)};
}

// Our workers are the threads: OpenBLAS itself must not start any.
[[maybe_unused]] const bool kSingleThreaded = (openblas_set_num_threads(1), true);

}  // namespace

void Cpu::gemm(Op op_a, Op op_b, double alpha, ConstMatrixView a, ConstMatrixView b, double beta, MatrixView c) const {
  const int64_t inner = op_a == Op::None ? a.cols : a.rows;
  const auto columns = [&](int64_t begin, int64_t count) {
    const double* from = op_b == Op::None ? b.col(begin) : b.data + begin;
    cblas_dgemm(CblasColMajor, cblas_op(op_a), cblas_op(op_b), blas_int(c.rows), blas_int(count), blas_int(inner),
                alpha, a.data, blas_int(a.ld), from, blas_int(b.ld), beta, c.col(begin), blas_int(c.ld));
  };
  const int64_t parts = parts_for(c.cols, 2.0 * static_cast<double>(c.rows) * static_cast<double>(inner));
  share(static_cast<int>(parts), [&](int part) {
    check_stop();
    const auto [begin, end] = part_of(c.cols, parts, part);
    columns(begin, end - begin);
  });
}

// Wide matrices in blocks of columns, always the same ones: a triangle at the diagonal and a rectangle below it.
void Cpu::syrk(Op op, double alpha, ConstMatrixView a, double beta, MatrixView c) const {
  constexpr int64_t kBlock = 512;
  const int64_t n = c.rows, inner = op == Op::None ? a.cols : a.rows, width = n < 2 * kBlock ? n : kBlock;
  const auto rows_of = [&](int64_t begin, int64_t count) {
    return op == Op::None ? a.block(begin, 0, count, inner) : a.block(0, begin, inner, count);
  };
  share(blas_int((n + width - 1) / width), [&](int block) {
    check_stop();
    const int64_t begin = block * width, count = std::min(width, n - begin), below = n - begin - count;
    cblas_dsyrk(CblasColMajor, CblasLower, cblas_op(op), blas_int(count), blas_int(inner), alpha,
                rows_of(begin, count).data, blas_int(a.ld), beta, &c(begin, begin), blas_int(c.ld));
    if (below == 0) return;
    const Op other = op == Op::None ? Op::Transpose : Op::None;
    gemm(op, other, alpha, rows_of(begin + count, below), rows_of(begin, count), beta,
         c.block(begin + count, begin, below, count));
  });
}

void Cpu::symm(ConstMatrixView a, ConstMatrixView b, double beta, MatrixView c) const {
  if (b.cols == 1) {
    std::vector<double> product(static_cast<size_t>(a.rows));
    symv_lower(a, b.data, product.data(), Sweep::Forward);
    for (int64_t i = 0; i < a.rows; ++i) c(i, 0) = beta == 0 ? product[i] : product[i] + beta * c(i, 0);
    return;
  }
  cblas_dsymm(CblasColMajor, CblasLeft, CblasLower, blas_int(c.rows), blas_int(c.cols), 1, a.data, blas_int(a.ld),
              b.data, blas_int(b.ld), beta, c.data, blas_int(c.ld));
}

void Cpu::add(double alpha, ConstMatrixView x, MatrixView y) const {
  for (int64_t j = 0; j < x.cols; ++j) cblas_daxpy(blas_int(x.rows), alpha, x.col(j), 1, y.col(j), 1);
}

double Cpu::dot(ConstMatrixView x, ConstMatrixView y) const {
  double sum = 0;
  for (int64_t j = 0; j < x.cols; ++j) sum += cblas_ddot(blas_int(x.rows), x.col(j), 1, y.col(j), 1);
  return sum;
}

std::vector<LanczosStep> Cpu::lanczos(ConstMatrixView a, double beta, MatrixView previous, MatrixView v,
                                      int steps) const {
  const int n = blas_int(a.rows);
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

}  // namespace gyro::linalg
