#include "gyro/spectra/tall.h"

#include <algorithm>
#include <cmath>

#include "gyro/base/error.h"
#include "gyro/base/file.h"

namespace gyro {
namespace {

using linalg::Op;

// Each panel's products read and write an n x n matrix, so that a few rows are dear, and many take memory; a GPU wants
// its work in one piece, within reason.
int64_t panel_rows(int64_t n, Space space) {
  const int64_t bytes = space == Space::Host ? int64_t{12} << 20 : int64_t{512} << 20;
  return std::clamp<int64_t>(bytes / (8 * std::max<int64_t>(n, 1)), 64, space == Space::Host ? 1024 : INT32_MAX);
}

void scale(MatrixView data, double factor) {
  if (factor != 1) linalg::multiply_columns(data, std::vector<double>(static_cast<size_t>(data.cols), factor));
}

Panel load_panel(const TallWeight& a, int64_t begin, int64_t count, Matrix& buffer) {
  const Space space = buffer.space();
  if (a.transposed) {
    const MatrixView data{buffer.data(), a.n, count, a.n, space};
    linalg::widen(*a.weight, begin, begin + count, 0, a.n, data);
    scale(data, a.factor);
    return {data, true, begin, count};
  }
  const MatrixView data{buffer.data(), count, a.n, count, space};
  linalg::widen(*a.weight, 0, a.n, begin, begin + count, data);
  scale(data, a.factor);
  return {data, false, begin, count};
}

void release(const TallWeight& a) {
  if (a.weight->mapped) release_pages({a.weight->data, a.weight->byte_size()});
}

}  // namespace

TallWeight as_tall(const Weight& weight) {
  const bool transposed = weight.cols < weight.rows;  // d_in < d_out
  return {&weight, transposed, std::max(weight.rows, weight.cols), std::min(weight.rows, weight.cols)};
}

double safe_factor(const TallWeight& a) {
  if (a.weight->dtype != DType::F64) return 1;
  size_t top = 0;
  for_each_panel(a, [&](const Panel& panel) {
    const std::vector<int64_t> counts = linalg::exponent_counts(panel.data);
    for (size_t e = top; e < counts.size(); ++e) top = counts[e] > 0 ? e : top;
  });
  const int exponent = static_cast<int>(top) - 1023;
  if (top == 0 || top + 1 == linalg::kExponents || std::abs(exponent) <= 100) return 1;  // nor zeros, NaN and Inf
  return std::ldexp(1.0, -std::clamp(exponent, -1000, 1000));
}

void for_each_panel(const TallWeight& a, const std::function<void(const Panel&)>& visit) {
  const int64_t step = panel_rows(a.n, a.weight->space);
  Matrix buffer(std::min(step, a.m), a.n, a.weight->space);
  for (int64_t begin = 0; begin < a.m; begin += step) {
    visit(load_panel(a, begin, std::min(step, a.m - begin), buffer));
  }
  release(a);
}

void for_each_panel(const TallWeight& a, const TallWeight& b,
                    const std::function<void(const Panel&, const Panel&)>& visit) {
  const int64_t step = panel_rows(a.n, a.weight->space);
  Matrix buffer_a(std::min(step, a.m), a.n, a.weight->space), buffer_b(std::min(step, a.m), a.n, b.weight->space);
  for (int64_t begin = 0; begin < a.m; begin += step) {
    const int64_t count = std::min(step, a.m - begin);
    const Panel panel_a = load_panel(a, begin, count, buffer_a);
    visit(panel_a, load_panel(b, begin, count, buffer_b));
  }
  release(a);
  release(b);
}

void add_gram(const Panel& panel, MatrixView g) {
  linalg::syrk(panel.transposed ? Op::None : Op::Transpose, 1, panel.data, 1, g);
}

void add_cross(const Panel& a, const Panel& b, MatrixView c) {
  if (a.transposed) {
    linalg::gemm(Op::None, Op::Transpose, 1, a.data, b.data, 1, c);
  } else {
    linalg::gemm(Op::Transpose, Op::None, 1, a.data, b.data, 1, c);
  }
}

void apply(const Panel& panel, ConstMatrixView x, MatrixView y) {
  linalg::gemm(panel.transposed ? Op::Transpose : Op::None, Op::None, 1, panel.data, x, 0, y);
}

void add_adjoint(const Panel& panel, ConstMatrixView y, MatrixView z) {
  linalg::gemm(panel.transposed ? Op::None : Op::Transpose, Op::None, 1, panel.data, y, 1, z);
}

Matrix to_dense(const TallWeight& a) {
  Matrix dense(a.m, a.n, a.weight->space);
  for_each_panel(a, [&](const Panel& panel) {
    const MatrixView part = dense.view().block(panel.begin, 0, panel.count, a.n);
    if (panel.transposed) {
      copy(linalg::transposed(panel.data), part);
    } else {
      copy(panel.data, part);
    }
  });
  return dense;
}

void check_finite(const Weight& weight, double norm_squared) {
  if (std::isfinite(norm_squared)) return;
  int64_t nan = 0, inf = 0;
  for_each_panel(as_tall(weight), [&](const Panel& panel) {
    const Matrix values = Matrix::copy_of(panel.data, Space::Host);
    const double *begin = values.data(), *end = begin + values.rows() * values.cols();
    nan += std::count_if(begin, end, [](double x) { return std::isnan(x); });
    inf += std::count_if(begin, end, [](double x) { return std::isinf(x); });
  });
  if (nan + inf == 0) fail(weight.name, "its values are too large: their squares overflow FP64");
  fail(weight.name, "holds {} NaN and {} infinite values of {}", nan, inf, weight.rows * weight.cols);
}

size_t working_memory(Space space, int64_t d_in, int64_t d_out, int dense) {
  const auto m = static_cast<double>(std::max(d_in, d_out)), n = static_cast<double>(std::min(d_in, d_out));
  if (space == Space::Host) {
    constexpr int kOfDirectSvds =
        4;  // factors of the base, of the post, and the matrix being decomposed with its image
    return static_cast<size_t>(8 * ((dense + kOfDirectSvds) * m * n + 14 * n * n)) + (size_t{16} << 20);
  }
  return static_cast<size_t>((2 * 4 + dense * 8) * m * n + 2 * std::min(m * n * 8, 0x1p29) + 18 * n * n * 8) +
         (size_t{64} << 20);
}

}  // namespace gyro
