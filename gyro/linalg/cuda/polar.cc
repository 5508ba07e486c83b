#include "gyro/linalg/cuda/polar.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "gyro/linalg/cuda/handles.h"

namespace gyro::linalg {
namespace {

constexpr double kUnitRoundoff = 0x1p-53;

// A step in each run of kRun columns from `begin` on.
void step_in_runs(Matrix& z, int64_t begin) {
  constexpr int64_t kRun = 128;
  const int64_t n = z.rows(), count = (z.cols() - begin) / kRun;
  if (count == 0) return;
  const int size = static_cast<int>(n), run = static_cast<int>(kRun), batch = static_cast<int>(count);
  const int64_t of_z = kRun * n, of_gram = kRun * kRun;
  const double one = 1, zero = 0, half = -0.5, more = 1.5;
  Matrix gram(kRun, kRun * count), next = z.clone();
  const double* from = z.col(begin);
  check(cublas().dgemm_strided_batched(blas(), CUBLAS_OP_T, CUBLAS_OP_N, run, run, size, &one, from, size, of_z, from,
                                       size, of_z, &zero, gram.data(), run, of_gram, batch),
        "cublasDgemmStridedBatched");
  check(cublas().dgemm_strided_batched(blas(), CUBLAS_OP_N, CUBLAS_OP_N, size, run, run, &half, from, size, of_z,
                                       gram.data(), run, of_gram, &more, next.col(begin), size, of_z, batch),
        "cublasDgemmStridedBatched");
  z = std::move(next);
}

}  // namespace

void orthonormalize_runs(Matrix& z) {
  for (const int64_t begin : {0, 0, 64, 64}) step_in_runs(z, begin);
}

bool orthonormalize(Matrix& z) {
  const int64_t n = z.cols();
  Matrix defect(n, n), next(n, n);
  for (int round = 0; round < 8; ++round) {
    syrk(Op::Transpose, 1, z, 0, defect);
    add_to_diagonal(defect, std::vector<double>(static_cast<size_t>(n), -1));
    const double size = symmetric_norm(defect);
    if (!(size < 0.5)) return false;
    if (size < static_cast<double>(n) * kUnitRoundoff) return true;
    // next = Z (I − ½ (ZᵀZ − I)), whose defect is ¾ of the square.
    mirror(defect, -0.5, next);
    Matrix better = z.clone();
    gemm(Op::None, Op::None, 1, z, next, 1, better);
    z = std::move(better);
    if (size * size < static_cast<double>(n) * kUnitRoundoff / 2) return true;
  }
  return false;
}

std::optional<Svd> svd_by_polar_factor(const Matrix& a) {
  const int64_t n = a.cols();
  const double size = norm(a);
  if (!(size > 0x1p-200 && size < 0x1p200)) return std::nullopt;  // squares of squares would vanish or overflow
  Matrix m(n, n);
  syrk(Op::Transpose, 1, a, 0, m);
  Eigh e = eigh(std::move(m));
  if (!(e.values.back() > 0)) return std::nullopt;
  std::vector<double> sigma = std::move(e.values);
  for (double& s : sigma) s = std::sqrt(s);
  const Matrix image = product(Op::None, Op::None, a, e.vectors);
  Matrix p = image.clone();
  divide_columns(p, sigma);
  if (!orthonormalize(p)) return std::nullopt;
  // What products leave is about 5 u ‖A‖; one turn is enough where the Gram matrix resolves all by far.
  const double enough = std::sqrt(static_cast<double>(std::max<int64_t>(n, 64))) * kUnitRoundoff * size;
  for (int turns = 0;; ++turns) {
    m = product(Op::Transpose, Op::None, p, image);
    Matrix turn = m.clone();
    add(-1, transposed(m), turn);
    if (0.5 * norm(turn) <= enough) break;
    divide_by_sums(turn, sigma);
    if (turns == 6 || !(norm(turn) < 0.3)) return std::nullopt;
    Matrix turned = p.clone();
    gemm(Op::None, Op::None, 1, p, turn, 1, turned);
    p = std::move(turned);
    if (!orthonormalize(p)) return std::nullopt;
  }
  const Eigh h = eigh(std::move(m));
  if (!(h.values.back() > 0)) return std::nullopt;
  return Svd{h.values, product(Op::None, Op::None, p, h.vectors), product(Op::None, Op::None, e.vectors, h.vectors)};
}

}  // namespace gyro::linalg
