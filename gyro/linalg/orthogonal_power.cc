#include "gyro/linalg/orthogonal_power.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <vector>

#include "gyro/base/error.h"
#include "gyro/linalg/cpu/openblas.h"

namespace gyro::linalg {

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
