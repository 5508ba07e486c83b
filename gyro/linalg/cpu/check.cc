#include <algorithm>
#include <cmath>
#include <limits>
#include <mutex>

#include "gyro/base/error.h"
#include "gyro/linalg/cpu/cpu.h"

namespace gyro::linalg {
namespace {

// Old builds of OpenBLAS compute wrong results on some processors. The sizes are no multiples of any kernel's, so that
// its edges are taken too; a thousand times the rounding that is expected still shows any such fault.
constexpr int64_t kSize = 67;
constexpr double kTolerance = 1e-11;

Matrix gaussian(const Cpu& backend, uint64_t seed) {
  Matrix a(kSize, kSize, Space::Host);
  backend.fill_normal(a, 1, seed, 0, 0);
  return a;
}

// op(A) op(B) by loops, for square operands.
Matrix product_by_loops(Op op_a, Op op_b, const Matrix& a, const Matrix& b) {
  Matrix c = Matrix::zeros(a.rows(), a.rows(), Space::Host);
  for (int64_t j = 0; j < c.cols(); ++j) {
    for (int64_t k = 0; k < c.cols(); ++k) {
      const double factor = op_b == Op::None ? b(k, j) : b(j, k);
      for (int64_t i = 0; i < c.rows(); ++i) c(i, j) += (op_a == Op::None ? a(i, k) : a(k, i)) * factor;
    }
  }
  return c;
}

// Infinite where an entry is not a number.
double largest_difference(const Matrix& a, const Matrix& b) {
  double largest = 0;
  for (int64_t i = 0; i < a.rows() * a.cols(); ++i) {
    const double difference = std::abs(a.data()[i] - b.data()[i]);
    if (std::isnan(difference)) return std::numeric_limits<double>::infinity();
    largest = std::max(largest, difference);
  }
  return largest;
}

double error_of_products(const Cpu& backend) {
  const Matrix a = gaussian(backend, 1), b = gaussian(backend, 2);
  double largest = 0;
  for (const Op op_a : {Op::None, Op::Transpose}) {
    for (const Op op_b : {Op::None, Op::Transpose}) {
      Matrix c(kSize, kSize, Space::Host);
      backend.gemm(op_a, op_b, 1, a, b, 0, c);
      largest = std::max(largest, largest_difference(c, product_by_loops(op_a, op_b, a, b)));
    }
  }
  return largest;
}

// Of A V = V Λ and VᵀV = I.
double error_of_eigenproblem(const Cpu& backend) {
  const Matrix b = gaussian(backend, 3), a = product_by_loops(Op::Transpose, Op::None, b, b);
  const Eigh e = backend.eigh(a.clone());
  Matrix scaled = e.vectors.clone(), identity = Matrix::zeros(kSize, kSize, Space::Host);
  for (int64_t j = 0; j < kSize; ++j) {
    identity(j, j) = 1;
    for (int64_t i = 0; i < kSize; ++i) scaled(i, j) *= e.values[static_cast<size_t>(j)];
  }
  return std::max(largest_difference(product_by_loops(Op::None, Op::None, a, e.vectors), scaled),
                  largest_difference(product_by_loops(Op::Transpose, Op::None, e.vectors, e.vectors), identity));
}

void check_library(const Cpu& backend) {
  const auto require = [&](double error, const char* what) {
    if (error <= kTolerance) return;
    fail(ErrorKind::Internal, backend.library(),
         "computes wrong results on this processor ({} is off by {:.1e}): use another build of it", what, error);
  };
  require(error_of_products(backend), "a product of two matrices");
  require(error_of_eigenproblem(backend), "an eigenproblem");
}

}  // namespace

const Backend& cpu() {
  static const Cpu backend;
  static std::once_flag checked;
  thread_local bool checking = false;  // the check itself comes here too
  if (checking) return backend;
  std::call_once(checked, [] {
    checking = true;
    try {
      check_library(backend);
    } catch (...) {
      checking = false;
      throw;
    }
    checking = false;
  });
  return backend;
}

}  // namespace gyro::linalg
