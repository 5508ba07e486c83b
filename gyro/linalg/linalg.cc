#include "gyro/linalg/linalg.h"

#include <cmath>
#include <stdexcept>

#include "gyro/base/team.h"
#include "gyro/linalg/backend.h"

namespace gyro::linalg {
namespace {

void require(bool condition, const char* what) {
  if (!condition) throw std::logic_error(what);
}

template <typename A, typename B>
bool same_shape(const A& a, const B& b) {
  return a.rows == b.rows && a.cols == b.cols && a.space == b.space;
}

bool square(ConstMatrixView x) {
  return x.rows == x.cols;
}

size_t length(int64_t n) {
  return static_cast<size_t>(n);
}

}  // namespace

const Backend& backend_of(Space space) {
  return space == Space::Host ? cpu() : cuda();
}

void gemm(Op op_a, Op op_b, double alpha, ConstMatrixView a, ConstMatrixView b, double beta, MatrixView c) {
  const int64_t inner = op_a == Op::None ? a.cols : a.rows;
  require((op_a == Op::None ? a.rows : a.cols) == c.rows && (op_b == Op::None ? b.cols : b.rows) == c.cols &&
              (op_b == Op::None ? b.rows : b.cols) == inner && a.space == c.space && b.space == c.space,
          "gemm: sizes do not agree");
  check_stop();
  if (c.rows > 0 && c.cols > 0) backend_of(c.space).gemm(op_a, op_b, alpha, a, b, beta, c);
}

Matrix product(Op op_a, Op op_b, ConstMatrixView a, ConstMatrixView b) {
  Matrix c(op_a == Op::None ? a.rows : a.cols, op_b == Op::None ? b.cols : b.rows, a.space);
  gemm(op_a, op_b, 1, a, b, 0, c);
  return c;
}

void syrk(Op op, double alpha, ConstMatrixView a, double beta, MatrixView c) {
  const int64_t n = op == Op::None ? a.rows : a.cols;
  require(c.rows == n && c.cols == n && a.space == c.space, "syrk: sizes do not agree");
  check_stop();
  if (n > 0) backend_of(c.space).syrk(op, alpha, a, beta, c);
}

void symm(ConstMatrixView a, ConstMatrixView b, double beta, MatrixView c) {
  require(square(a) && a.cols == b.rows && same_shape(b, c) && a.space == c.space, "symm: sizes do not agree");
  check_stop();
  if (c.rows > 0 && c.cols > 0) backend_of(c.space).symm(a, b, beta, c);
}

void multiply_rows(MatrixView x, const std::vector<double>& factors) {
  require(factors.size() == length(x.rows), "multiply_rows: sizes do not agree");
  backend_of(x.space).scale_rows(x, factors, false);
}

void divide_rows(MatrixView x, const std::vector<double>& factors) {
  require(factors.size() == length(x.rows), "divide_rows: sizes do not agree");
  backend_of(x.space).scale_rows(x, factors, true);
}

void multiply_columns(MatrixView x, const std::vector<double>& factors) {
  require(factors.size() == length(x.cols), "multiply_columns: sizes do not agree");
  backend_of(x.space).scale_columns(x, factors, false);
}

void divide_columns(MatrixView x, const std::vector<double>& factors) {
  require(factors.size() == length(x.cols), "divide_columns: sizes do not agree");
  backend_of(x.space).scale_columns(x, factors, true);
}

void add(double alpha, ConstMatrixView x, MatrixView y) {
  require(same_shape(x, y), "add: sizes do not agree");
  backend_of(y.space).add(alpha, x, y);
}

double dot(ConstMatrixView x, ConstMatrixView y) {
  require(same_shape(x, y), "dot: sizes do not agree");
  return backend_of(x.space).dot(x, y);
}

double norm(ConstMatrixView a) {
  return std::sqrt(dot(a, a));
}

double symmetric_norm(ConstMatrixView a) {
  require(square(a), "symmetric_norm: not square");
  return std::sqrt(backend_of(a.space).symmetric_square(a));
}

std::vector<double> diagonal(ConstMatrixView x) {
  require(square(x), "diagonal: not square");
  return backend_of(x.space).diagonal(x);
}

void add_to_diagonal(MatrixView x, const std::vector<double>& values) {
  require(square(x) && values.size() == length(x.rows), "add_to_diagonal: sizes do not agree");
  backend_of(x.space).add_to_diagonal(x, values);
}

void add_with_transpose(ConstMatrixView b, ConstMatrixView c, MatrixView g) {
  require(square(g) && same_shape(b, g) && same_shape(c, g), "add_with_transpose: sizes do not agree");
  backend_of(g.space).add_with_transpose(b, c, g);
}

Matrix transposed(ConstMatrixView x) {
  Matrix out(x.cols, x.rows, x.space);
  backend_of(x.space).transpose(x, out);
  return out;
}

void multiply_elements(ConstMatrixView x, MatrixView y) {
  require(same_shape(x, y), "multiply_elements: sizes do not agree");
  backend_of(y.space).multiply_elements(x, y);
}

SymmetrySums symmetry_sums(ConstMatrixView x, const std::vector<double>& sigma) {
  require(square(x) && sigma.size() == length(x.rows), "symmetry_sums: sizes do not agree");
  return backend_of(x.space).symmetry_sums(x, sigma);
}

void orient_columns(MatrixView s, MatrixView other) {
  require(other.rows == 0 || (other.cols == s.cols && other.space == s.space), "orient_columns: sizes do not agree");
  if (s.rows > 0) backend_of(s.space).orient_columns(s, other);
}

ChangeSums subtract(ConstMatrixView base, MatrixView post) {
  require(same_shape(base, post), "subtract: sizes do not agree");
  return backend_of(post.space).subtract(base, post);
}

double residual_square(ConstMatrixView base, ConstMatrixView post, double c) {
  require(same_shape(base, post), "residual_square: sizes do not agree");
  return backend_of(post.space).residual_square(base, post, c);
}

LineSums line_sums(ConstMatrixView base, ConstMatrixView post, double c, Line line,
                   const std::vector<double>& weights) {
  require(same_shape(base, post) && weights.size() == length(line == Line::Row ? base.cols : base.rows),
          "line_sums: sizes do not agree");
  return backend_of(post.space).line_sums(base, post, c, line, weights);
}

void select_lines(ConstMatrixView x, Line line, const std::vector<int64_t>& lines, MatrixView out) {
  require(out.rows == (line == Line::Row ? x.cols : x.rows) && lines.size() == length(out.cols) && x.space == out.space,
          "select_lines: sizes do not agree");
  if (!lines.empty()) backend_of(x.space).select_lines(x, line, lines, out);
}

std::vector<int64_t> exponent_counts(ConstMatrixView x, const Grid& grid) {
  return backend_of(x.space).exponent_counts(x, grid);
}

void widen(const Weight& weight, int64_t row0, int64_t row1, int64_t col0, int64_t col1, MatrixView out) {
  require(out.rows == col1 - col0 && out.cols == row1 - row0 && out.space == weight.space, "widen: sizes do not agree");
  check_stop();
  backend_of(out.space).widen(weight, row0, row1, col0, col1, out);
}

Matrix widen(const Weight& weight) {
  Matrix all(weight.cols, weight.rows, weight.space);
  widen(weight, 0, weight.rows, 0, weight.cols, all);
  return all;
}

void fill_normal(MatrixView x, double deviation, uint64_t seed, int64_t row0, int64_t col0) {
  require(row0 % kRandomRows == 0, "fill_normal: not at a block");
  check_stop();
  backend_of(x.space).fill_normal(x, deviation, seed, row0, col0);
}

void fill_bartlett(MatrixView x, double deviation, uint64_t seed, int64_t row0, int64_t rows) {
  require(row0 % kRandomRows == 0 && row0 + x.rows <= rows, "fill_bartlett: not within the factor");
  backend_of(x.space).fill_bartlett(x, deviation, seed, row0, rows);
}

Eigh eigh(Matrix&& a) {
  require(square(a), "eigh: not square");
  check_stop();
  if (a.rows() == 0) return {};
  return backend_of(a.space()).eigh(std::move(a));
}

std::vector<double> eigvalsh(Matrix&& a) {
  require(square(a), "eigvalsh: not square");
  check_stop();
  if (a.rows() == 0) return {};
  return backend_of(a.space()).eigvalsh(std::move(a));
}

int64_t eigenvalues_above(Matrix&& a, double bound) {
  require(square(a), "eigenvalues_above: not square");
  check_stop();
  if (a.rows() == 0) return 0;
  return backend_of(a.space()).eigenvalues_above(std::move(a), bound);
}

Svd svd(Matrix&& a) {
  require(a.rows() >= a.cols(), "svd: not tall");
  check_stop();
  if (a.cols() == 0) return {};
  return backend_of(a.space()).svd(std::move(a));
}

std::string library() {
  return backend_of(device::here()).library();
}

}  // namespace gyro::linalg
