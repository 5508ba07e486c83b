#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "gyro/base/error.h"
#include "gyro/linalg/cpu/cpu.h"
#include "gyro/linalg/cpu/openblas.h"
#include "gyro/linalg/cpu/tridiagonal.h"

namespace gyro::linalg {
namespace {

void check(int info, const char* routine) {
  if (info > 0) fail(ErrorKind::Internal, "eigh", "{} did not converge (info {})", routine, info);
  if (info < 0) throw std::logic_error(std::string(routine) + ": bad argument");
}

void reverse_columns(Matrix& m) {
  for (int64_t i = 0, j = m.cols() - 1; i < j; ++i, --j) std::swap_ranges(m.col(i), m.col(i) + m.rows(), m.col(j));
}

}  // namespace

Eigh Cpu::eigh(Matrix&& input) const {
  Matrix a = std::move(input);
  const int n = static_cast<int>(a.rows());
  TridiagonalForm t = tridiagonalize(a);
  Matrix z(n, n, Space::Host);
  {
    Matrix work(n, n + 5, Space::Host);
    std::vector<int> iwork(3 + 5 * static_cast<size_t>(n));
    check(LAPACKE_dstedc_work(LAPACK_COL_MAJOR, 'I', n, t.diagonal.data(), t.off_diagonal.data(), z.data(), n,
                              work.data(), static_cast<int>(work.rows() * work.cols()), iwork.data(),
                              static_cast<int>(iwork.size())),
          "dstedc");
  }
  apply_reflectors(a, t.tau, z);
  reverse_columns(z);
  std::reverse(t.diagonal.begin(), t.diagonal.end());
  return {std::move(t.diagonal), std::move(z)};
}

std::vector<double> Cpu::eigvalsh(Matrix&& input) const {
  Matrix a = std::move(input);
  TridiagonalForm t = tridiagonalize(a);
  check(LAPACKE_dsterf_work(static_cast<int>(a.rows()), t.diagonal.data(), t.off_diagonal.data()), "dsterf");
  std::reverse(t.diagonal.begin(), t.diagonal.end());
  return std::move(t.diagonal);
}

std::vector<double> tridiagonal_eigenvalues(std::vector<double> diagonal, std::vector<double> off_diagonal) {
  if (diagonal.empty()) return diagonal;
  check(LAPACKE_dsterf_work(static_cast<int>(diagonal.size()), diagonal.data(), off_diagonal.data()), "dsterf");
  std::reverse(diagonal.begin(), diagonal.end());
  return diagonal;
}

int64_t Cpu::eigenvalues_above(Matrix&& input, double bound) const {
  Matrix a = std::move(input);
  const int n = blas_int(a.rows());
  for (int64_t j = 0; j < n; ++j) a(j, j) -= bound;
  std::vector<int> pivots(static_cast<size_t>(n));
  std::vector<double> work(static_cast<size_t>(n) * 64);
  // A positive info says that some pivot is exactly zero: an eigenvalue that is the bound, and not above it.
  LAPACKE_dsytrf_work(LAPACK_COL_MAJOR, 'L', n, a.data(), n, pivots.data(), work.data(), static_cast<int>(work.size()));
  int64_t count = 0;
  for (int64_t j = 0; j < n; ++j) {
    if (pivots[static_cast<size_t>(j)] < 0) {
      ++count, ++j;  // Bunch and Kaufman take a block of two only where its determinant is negative
    } else {
      count += a(j, j) > 0 ? 1 : 0;
    }
  }
  return count;
}

Svd Cpu::svd(Matrix&& input) const {
  Matrix a = std::move(input);
  const int m = static_cast<int>(a.rows()), n = static_cast<int>(a.cols());
  Svd out{std::vector<double>(n), Matrix(m, n, Space::Host), Matrix(n, n, Space::Host)};
  Matrix vt(n, n, Space::Host);
  std::vector<int> iwork(8 * static_cast<size_t>(n));
  double size = 0;
  LAPACKE_dgesdd_work(LAPACK_COL_MAJOR, 'S', m, n, a.data(), m, out.values.data(), out.u.data(), m, vt.data(), n, &size,
                      -1, iwork.data());
  std::vector<double> work(static_cast<size_t>(size));
  const int info = LAPACKE_dgesdd_work(LAPACK_COL_MAJOR, 'S', m, n, a.data(), m, out.values.data(), out.u.data(), m,
                                       vt.data(), n, work.data(), static_cast<int>(work.size()), iwork.data());
  if (info != 0) fail(ErrorKind::Internal, "svd", "dgesdd did not converge (info {})", info);
  transpose(vt, out.v);
  return out;
}

}  // namespace gyro::linalg
