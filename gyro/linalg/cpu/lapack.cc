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

Matrix orthogonal_power(Matrix&& input, double t) {
  if (input.space() != Space::Host) throw std::logic_error("orthogonal_power: not on the host");
  Matrix q = std::move(input);
  const int n = static_cast<int>(q.rows());
  if (n == 0) return q;
  // Real Schur form of a normal matrix: rotations by an angle on the diagonal, 1 x 1 or 2 x 2.
  Matrix z(n, n, Space::Host);
  std::vector<double> real(n), imaginary(n), work(static_cast<size_t>(n) * 64);
  int unused = 0;
  const int info =
      LAPACKE_dgees_work(LAPACK_COL_MAJOR, 'V', 'N', nullptr, n, q.data(), n, &unused, real.data(), imaginary.data(),
                         z.data(), n, work.data(), static_cast<int>(work.size()), nullptr);
  if (info != 0) fail(ErrorKind::Internal, "orthogonal_power", "dgees did not converge (info {})", info);
  Matrix rotated(n, n, Space::Host);  // Z diag(blocks^t)
  std::vector<int64_t> half_turns;
  for (int64_t j = 0; j < n; ++j) {
    if (imaginary[j] == 0 && real[j] < 0) {
      half_turns.push_back(j);
      continue;
    }
    if (imaginary[j] == 0) {
      std::copy_n(z.col(j), n, rotated.col(j));
      continue;
    }
    // The block [cos −sin; sin cos], its lower left entry being the sine.
    const double angle = t * std::atan2(q(j + 1, j), real[j]);
    for (int64_t i = 0; i < n; ++i) {
      rotated(i, j) = z(i, j) * std::cos(angle) + z(i, j + 1) * std::sin(angle);
      rotated(i, j + 1) = z(i, j + 1) * std::cos(angle) - z(i, j) * std::sin(angle);
    }
    ++j;
  }
  for (size_t k = 0; k < half_turns.size(); k += 2) {  // pairs of −1 are a rotation by π
    const int64_t a = half_turns[k], b = half_turns[std::min(k + 1, half_turns.size() - 1)];
    for (int64_t i = 0; i < n; ++i) {
      const double x = z(i, a), y = z(i, b), c = std::cos(t * M_PI), s = std::sin(t * M_PI);
      rotated(i, a) = x * c + (a == b ? 0 : y * s);
      if (a != b) rotated(i, b) = y * c - x * s;
    }
  }
  Matrix out(n, n, Space::Host);
  gemm(Op::None, Op::Transpose, 1, rotated, z, 0, out);
  return out;
}

}  // namespace gyro::linalg
