#include "gyro/probe/cka.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "gyro/base/error.h"
#include "gyro/base/team.h"
#include "gyro/linalg/linalg.h"

namespace gyro {
namespace {

constexpr double kConstant = 1e-12;  // of the norm: what centring leaves of rows that are all alike

// What there is to know of K = XXᵀ of a centred X: itself, or X where that has fewer columns than rows.
struct Kernel {
  Matrix values;
  std::vector<double> diagonal;
};

enum class Form { Rows, Columns };  // values are XXᵀ; X

double square(double x) {
  return x * x;
}

Matrix centred(ConstMatrixView x) {
  Matrix out = Matrix::copy_of(x, Space::Host);
  for (int64_t j = 0; j < out.cols(); ++j) {
    double mean = 0;
    for (int64_t i = 0; i < out.rows(); ++i) mean += out(i, j);
    mean /= static_cast<double>(out.rows());
    for (int64_t i = 0; i < out.rows(); ++i) out(i, j) -= mean;
  }
  if (linalg::norm(out) <= kConstant * linalg::norm(x)) return Matrix::zeros(out.rows(), out.cols(), Space::Host);
  return out;
}

Kernel kernel_of(ConstMatrixView x, Form form) {
  check_stop();
  Kernel out{centred(x), {}};
  if (form == Form::Rows) {
    out.values = linalg::product(linalg::Op::None, linalg::Op::Transpose, out.values, out.values);
    out.diagonal = linalg::diagonal(out.values);
    return out;
  }
  out.diagonal.assign(static_cast<size_t>(x.rows), 0);
  for (int64_t j = 0; j < x.cols; ++j) {
    for (int64_t i = 0; i < x.rows; ++i) out.diagonal[static_cast<size_t>(i)] += square(out.values(i, j));
  }
  return out;
}

// ⟨K, L⟩ = ‖XᵀY‖².
double inner(const Kernel& k, const Kernel& l, Form form) {
  if (form == Form::Rows) return linalg::dot(k.values, l.values);
  return square(linalg::norm(linalg::product(linalg::Op::Transpose, linalg::Op::None, k.values, l.values)));
}

// HSIC_1 does not change where X is centred, and a row of the centred K sums to 0: without its diagonal to −k_ii.
double unbiased_inner(const Kernel& k, const Kernel& l, Form form) {
  double products = 0, trace_k = 0, trace_l = 0;
  for (size_t i = 0; i < k.diagonal.size(); ++i) {
    products += k.diagonal[i] * l.diagonal[i];
    trace_k += k.diagonal[i];
    trace_l += l.diagonal[i];
  }
  const auto n = static_cast<double>(k.diagonal.size());
  const double sums = trace_k * trace_l / ((n - 1) * (n - 2)) - 2 * products / (n - 2);
  return (inner(k, l, form) - products + sums) / (n * (n - 3));
}

using Estimator = double (*)(const Kernel&, const Kernel&, Form);

std::vector<Kernel> kernels_of(std::span<const Matrix> of, Rows rows, Form form) {
  std::vector<Kernel> out;
  for (const Matrix& x : of) out.push_back(kernel_of(x.view().block(rows.first, 0, rows.second, x.cols()), form));
  return out;
}

std::vector<double> own_terms(const std::vector<Kernel>& kernels, Form form, Estimator hsic) {
  std::vector<double> out;
  for (const Kernel& kernel : kernels) out.push_back(hsic(kernel, kernel, form));
  return out;
}

Form form_of(std::span<const Matrix> a, std::span<const Matrix> b, int64_t rows) {
  const auto narrow = [&](const Matrix& x) { return x.cols() < rows; };
  return std::ranges::all_of(a, narrow) && std::ranges::all_of(b, narrow) ? Form::Columns : Form::Rows;
}

Matrix cka(std::span<const Matrix> a, std::span<const Matrix> b, const std::vector<Rows>& batches, Estimator hsic) {
  std::vector<double> own_a(a.size(), 0), own_b(b.size(), 0);
  Matrix out = Matrix::zeros(static_cast<int64_t>(a.size()), static_cast<int64_t>(b.size()), Space::Host);
  for (const Rows& rows : batches) {
    const Form form = form_of(a, b, rows.second);
    const std::vector<Kernel> of_a = kernels_of(a, rows, form), of_b = kernels_of(b, rows, form);
    std::ranges::transform(own_a, own_terms(of_a, form, hsic), own_a.begin(), std::plus());
    std::ranges::transform(own_b, own_terms(of_b, form, hsic), own_b.begin(), std::plus());
    for (size_t j = 0; j < of_b.size(); ++j) {
      for (size_t i = 0; i < of_a.size(); ++i) {
        out(static_cast<int64_t>(i), static_cast<int64_t>(j)) += hsic(of_a[i], of_b[j], form);
      }
    }
  }
  for (size_t j = 0; j < b.size(); ++j) {
    for (size_t i = 0; i < a.size(); ++i) {
      double& value = out(static_cast<int64_t>(i), static_cast<int64_t>(j));
      const bool defined = own_a[i] > 0 && own_b[j] > 0;
      value = defined ? value / std::sqrt(own_a[i] * own_b[j]) : std::numeric_limits<double>::quiet_NaN();
    }
  }
  return out;
}

int64_t rows_of(std::span<const Matrix> a) {
  return a.empty() ? 0 : a.front().rows();
}

}  // namespace

Matrix linear_cka(std::span<const Matrix> a, std::span<const Matrix> b) {
  return cka(a, b, {{0, rows_of(a)}}, inner);
}

std::vector<Rows> minibatches(int64_t rows, int64_t batch) {
  if (batch != 0 && (batch < kLeastBatch || batch > rows)) {
    fail_field("batch", "{} is not from {} to the {} rows that there are", batch, kLeastBatch, rows);
  }
  std::vector<Rows> out;
  const int64_t size = batch == 0 ? std::max(rows, kLeastBatch) : batch;
  for (int64_t left = rows; left >= size;) {
    const int64_t taken = left < 2 * size ? left : size;
    out.emplace_back(rows - left, taken);
    left -= taken;
  }
  return out;
}

Matrix unbiased_linear_cka(std::span<const Matrix> a, std::span<const Matrix> b, const std::vector<Rows>& batches) {
  return cka(a, b, batches, unbiased_inner);
}

}  // namespace gyro
