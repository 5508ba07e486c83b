#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <utility>

#include "gyro/base/clones.h"
#include "gyro/linalg/cpu/cpu.h"
#include "gyro/linalg/random_tile.h"

namespace gyro::linalg {
namespace {

GYRO_CLONES ChangeSums subtract_run(const double* base, double* post, int64_t count) {
  ChangeSums sums;
  double inner[8] = {}, change[8] = {}, square[8] = {};
  int64_t same = 0;
  for (int64_t i = 0; i < count; ++i) {
    same += std::bit_cast<uint64_t>(base[i]) == std::bit_cast<uint64_t>(post[i]) ? 1 : 0;
  }
  int64_t i = 0;
  for (; i + 8 <= count; i += 8) {
    for (int l = 0; l < 8; ++l) {
      const double p = post[i + l], b = base[i + l], d = p - b;
      inner[l] += b * d;
      change[l] += d * d;
      square[l] += p * p;
      post[i + l] = d;
    }
  }
  for (; i < count; ++i) {
    const double p = post[i], d = p - base[i];
    inner[0] += base[i] * d;
    change[0] += d * d;
    square[0] += p * p;
    post[i] = d;
  }
  for (int l = 0; l < 8; ++l) {
    sums.inner += inner[l];
    sums.change += change[l];
    sums.post += square[l];
  }
  sums.unchanged = same;
  return sums;
}

GYRO_CLONES double residual_of(const double* base, const double* post, int64_t count, double c) {
  double sums[8] = {};
  int64_t i = 0;
  for (; i + 8 <= count; i += 8) {
    for (int l = 0; l < 8; ++l) {
      const double e = post[i + l] - c * base[i + l];
      sums[l] += e * e;
    }
  }
  for (; i < count; ++i) sums[0] += (post[i] - c * base[i]) * (post[i] - c * base[i]);
  double sum = 0;
  for (const double part : sums) sum += part;
  return sum;
}

// One column's sums.
struct ColumnSums {
  double residual = 0, square = 0, product = 0, weighted = 0;
};
GYRO_CLONES ColumnSums column_sums(const double* base, const double* post, const double* weights, int64_t count,
                                   double c) {
  double residual[8] = {}, square[8] = {}, product[8] = {}, weighted[8] = {};
  const auto add = [&](int64_t i, int l) {
    const double b = base[i], e = post[i] - c * b;
    residual[l] += e * e;
    square[l] += b * b;
    product[l] += b * e;
    weighted[l] += weights[i] * (b * b);
  };
  int64_t i = 0;
  for (; i + 8 <= count; i += 8) {
    for (int l = 0; l < 8; ++l) add(i + l, l);
  }
  for (; i < count; ++i) add(i, 0);
  ColumnSums sums;
  for (int l = 0; l < 8; ++l) {
    sums.residual += residual[l];
    sums.square += square[l];
    sums.product += product[l];
    sums.weighted += weighted[l];
  }
  return sums;
}

// Adds one column to the rows' sums.
GYRO_CLONES void add_to_rows(const double* base, const double* post, int64_t count, double c, double weight,
                             double* residual, double* square, double* product, double* weighted) {
  for (int64_t i = 0; i < count; ++i) {
    const double b = base[i], e = post[i] - c * b;
    residual[i] += e * e;
    square[i] += b * b;
    product[i] += b * e;
    weighted[i] += weight * (b * b);
  }
}

// Of the pair X_ij = x, X_ji = y.
void add_pair(double x, double y, double larger, double smaller, SymmetrySums& sums) {
  const double sum = x + y, difference = x - y, side = larger > smaller ? y * y - x * x : 0;
  const double p = (larger - smaller) * (larger - smaller), q = 2 * larger * smaller;
  const double w = p + q > 0 ? p / (p + q) : 0, t = 2 * x * y, tw = t * w;
  sums.symmetric += sum * sum / 2;
  sums.antisymmetric += difference * difference / 2;
  sums.products += x * x * (y * y);
  sums.sides += side;
  sums.side_squares += side * side;
  sums.tw += tw;
  sums.pw += p * w;
  sums.qw += q * w;
  sums.ttw += t * tw;
  sums.ttww += tw * tw;
}

}  // namespace

void Cpu::scale_rows(MatrixView x, const std::vector<double>& factors, bool divide) const {
  for (int64_t j = 0; j < x.cols; ++j) {
    double* column = x.col(j);
    if (divide) {
      for (int64_t i = 0; i < x.rows; ++i) column[i] /= factors[static_cast<size_t>(i)];
    } else {
      for (int64_t i = 0; i < x.rows; ++i) column[i] *= factors[static_cast<size_t>(i)];
    }
  }
}

void Cpu::scale_columns(MatrixView x, const std::vector<double>& factors, bool divide) const {
  for (int64_t j = 0; j < x.cols; ++j) {
    const double factor = factors[static_cast<size_t>(j)];
    double* column = x.col(j);
    if (divide) {
      for (int64_t i = 0; i < x.rows; ++i) column[i] /= factor;
    } else {
      for (int64_t i = 0; i < x.rows; ++i) column[i] *= factor;
    }
  }
}

double Cpu::symmetric_square(ConstMatrixView a) const {
  double sum = 0;
  for (int64_t j = 0; j < a.cols; ++j) {
    sum += a(j, j) * a(j, j);
    for (int64_t i = j + 1; i < a.rows; ++i) sum += 2 * a(i, j) * a(i, j);
  }
  return sum;
}

std::vector<double> Cpu::diagonal(ConstMatrixView x) const {
  std::vector<double> values;
  for (int64_t j = 0; j < x.cols; ++j) values.push_back(x(j, j));
  return values;
}

void Cpu::add_to_diagonal(MatrixView x, const std::vector<double>& values) const {
  for (int64_t j = 0; j < x.cols; ++j) x(j, j) += values[static_cast<size_t>(j)];
}

void Cpu::add_with_transpose(ConstMatrixView b, ConstMatrixView c, MatrixView g) const {
  constexpr int64_t kTile = 32;
  for (int64_t j0 = 0; j0 < g.cols; j0 += kTile) {
    for (int64_t i0 = j0; i0 < g.rows; i0 += kTile) {
      for (int64_t j = j0; j < std::min(j0 + kTile, g.cols); ++j) {
        for (int64_t i = std::max(i0, j); i < std::min(i0 + kTile, g.rows); ++i)
          g(i, j) += b(i, j) + (c(i, j) + c(j, i));
      }
    }
  }
}

void Cpu::transpose(ConstMatrixView x, MatrixView out) const {
  constexpr int64_t kTile = 32;
  for (int64_t j0 = 0; j0 < x.cols; j0 += kTile) {
    for (int64_t i0 = 0; i0 < x.rows; i0 += kTile) {
      for (int64_t j = j0; j < std::min(j0 + kTile, x.cols); ++j) {
        for (int64_t i = i0; i < std::min(i0 + kTile, x.rows); ++i) out(j, i) = x(i, j);
      }
    }
  }
}

void Cpu::multiply_elements(ConstMatrixView x, MatrixView y) const {
  for (int64_t j = 0; j < x.cols; ++j) {
    for (int64_t i = 0; i < x.rows; ++i) y(i, j) *= x(i, j);
  }
}

SymmetrySums Cpu::symmetry_sums(ConstMatrixView x, const std::vector<double>& sigma) const {
  SymmetrySums sums;
  constexpr int64_t kTile = 32;
  for (int64_t i0 = 0; i0 < x.cols; i0 += kTile) {
    for (int64_t j0 = i0; j0 < x.rows; j0 += kTile) {
      for (int64_t i = i0; i < std::min(i0 + kTile, x.cols); ++i) {
        for (int64_t j = std::max(j0, i + 1); j < std::min(j0 + kTile, x.rows); ++j) {
          add_pair(x(i, j), x(j, i), sigma[static_cast<size_t>(i)], sigma[static_cast<size_t>(j)], sums);
        }
      }
    }
  }
  for (int64_t j = 0; j < x.cols; ++j) sums.diagonal += x(j, j) * x(j, j);
  return sums;
}

void Cpu::orient_columns(MatrixView s, MatrixView other) const {
  for (int64_t j = 0; j < s.cols; ++j) {
    double* column = s.col(j);
    const double* top =
        std::max_element(column, column + s.rows, [](double a, double b) { return std::abs(a) < std::abs(b); });
    if (*top >= 0) continue;
    for (int64_t i = 0; i < s.rows; ++i) column[i] = -column[i];
    for (int64_t i = 0; i < other.rows; ++i) other(i, j) = -other(i, j);
  }
}

ChangeSums Cpu::subtract(ConstMatrixView base, MatrixView post) const {
  ChangeSums all;
  for (int64_t j = 0; j < base.cols; ++j) {
    const ChangeSums sums = subtract_run(base.col(j), post.col(j), base.rows);
    all.inner += sums.inner;
    all.change += sums.change;
    all.post += sums.post;
    all.unchanged += sums.unchanged;
  }
  return all;
}

double Cpu::residual_square(ConstMatrixView base, ConstMatrixView post, double c) const {
  double sum = 0;
  for (int64_t j = 0; j < base.cols; ++j) sum += residual_of(base.col(j), post.col(j), base.rows, c);
  return sum;
}

LineSums Cpu::line_sums(ConstMatrixView base, ConstMatrixView post, double c, Line line,
                        const std::vector<double>& weights) const {
  const auto count = static_cast<size_t>(line == Line::Row ? base.rows : base.cols);
  LineSums sums{std::vector<double>(count), std::vector<double>(count), std::vector<double>(count),
                std::vector<double>(count)};
  for (int64_t j = 0; j < base.cols; ++j) {
    const auto at = static_cast<size_t>(j);
    if (line == Line::Row) {
      add_to_rows(base.col(j), post.col(j), base.rows, c, weights[at], sums.residual.data(), sums.square.data(),
                  sums.product.data(), sums.weighted.data());
      continue;
    }
    const ColumnSums column = column_sums(base.col(j), post.col(j), weights.data(), base.rows, c);
    sums.residual[at] = column.residual;
    sums.square[at] = column.square;
    sums.product[at] = column.product;
    sums.weighted[at] = column.weighted;
  }
  return sums;
}

void Cpu::select_lines(ConstMatrixView x, Line line, const std::vector<int64_t>& lines, MatrixView out) const {
  for (int64_t k = 0; k < out.cols; ++k) {
    const int64_t at = lines[static_cast<size_t>(k)];
    for (int64_t i = 0; i < out.rows; ++i) out(i, k) = line == Line::Row ? x(at, i) : x(i, at);
  }
}

std::vector<int64_t> Cpu::exponent_counts(ConstMatrixView x, const Grid& grid) const {
  // In turns, since neighbours often have the same exponent and would wait for each other.
  std::array<std::vector<uint32_t>, 4> counts;
  for (auto& part : counts) part.resize(kExponents);
  std::vector<int64_t> total(kExponents);
  for (int64_t j = 0; j < x.cols; ++j) {
    const double* column = x.col(j);
    for (int64_t i = 0; i < x.rows; ++i) {
      const auto bits = std::bit_cast<uint64_t>(column[i]);
      counts[static_cast<size_t>(i % 4)][bits >> 52 & (kExponents - 1)] += is_on(grid, bits) ? 1 : 0;
    }
    if (j % 64 != 63 && j + 1 < x.cols) continue;  // before 32 bits overflow
    for (auto& part : counts) {
      for (size_t e = 0; e < kExponents; ++e) total[e] += std::exchange(part[e], 0);
    }
  }
  return total;
}

void Cpu::widen(const Weight& weight, int64_t row0, int64_t row1, int64_t col0, int64_t col1, MatrixView out) const {
  gyro::widen(weight, row0, row1, col0, col1, out.data, out.ld);
}

void Cpu::fill_normal(MatrixView x, double deviation, uint64_t seed, int64_t row0, int64_t col0) const {
  for (int64_t j = 0; j < x.cols; ++j) {
    for (int64_t i = 0; i < x.rows; i += kRandomRows) {
      Random random = tile_stream(seed, (row0 + i) / kRandomRows, col0 + j);
      random.normals({x.col(j) + i, static_cast<size_t>(std::min(kRandomRows, x.rows - i))}, deviation);
    }
  }
}

void Cpu::fill_bartlett(MatrixView x, double deviation, uint64_t seed, int64_t row0, int64_t rows) const {
  for (int64_t j = 0; j < x.cols; ++j) {
    for (int64_t i = 0; i < x.rows; i += kRandomRows) {
      bartlett_column(x.col(j) + i, std::min(kRandomRows, x.rows - i), deviation, seed, row0 + i, row0 + j, rows);
    }
  }
}

}  // namespace gyro::linalg
