#include <algorithm>
#include <bit>
#include <cmath>

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

GYRO_CLONES void add_residual(const double* base, const double* post, int64_t count, double c, ResidualSums& sums) {
  double residual = 0, magnitude = 0;
  for (int64_t i = 0; i < count; ++i) {
    const double e = post[i] - c * base[i];
    const double power = std::bit_cast<double>(std::bit_cast<uint64_t>(post[i]) & 0x7ff0000000000000u);
    residual += e * e;
    magnitude += power * power;
  }
  sums.residual += residual;
  sums.magnitude += magnitude;
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

SymmetrySums Cpu::symmetry_sums(ConstMatrixView x) const {
  SymmetrySums sums;
  constexpr int64_t kTile = 32;
  for (int64_t j0 = 0; j0 < x.cols; j0 += kTile) {
    for (int64_t i0 = j0; i0 < x.rows; i0 += kTile) {
      for (int64_t j = j0; j < std::min(j0 + kTile, x.cols); ++j) {
        for (int64_t i = std::max(i0, j + 1); i < std::min(i0 + kTile, x.rows); ++i) {
          const double sum = x(i, j) + x(j, i);
          const double difference = x(i, j) - x(j, i);
          sums.symmetric += sum * sum / 2;
          sums.antisymmetric += difference * difference / 2;
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

ResidualSums Cpu::residual_sums(ConstMatrixView base, ConstMatrixView post, double c) const {
  ResidualSums sums;
  for (int64_t j = 0; j < base.cols; ++j) add_residual(base.col(j), post.col(j), base.rows, c, sums);
  return sums;
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
