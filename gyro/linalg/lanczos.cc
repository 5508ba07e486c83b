#include "gyro/linalg/lanczos.h"

#include <algorithm>
#include <cmath>

#include "gyro/linalg/backend.h"

namespace gyro::linalg {
namespace {

// A fixed start with no structure: digits of the golden ratio's multiples.
Matrix start_vector(int64_t n) {
  Matrix v(n, 1, Space::Host);
  for (int64_t i = 0; i < n; ++i) v(i, 0) = std::fmod(static_cast<double>(i + 1) * 0.6180339887498949, 1.0) - 0.5;
  divide_columns(v, {norm(v)});
  return v;
}

double guarded(double pivot) {
  return std::abs(pivot) < 1e-300 ? -1e-300 : pivot;
}

// Whether x is above every eigenvalue of the steps' tridiagonal matrix: T − x has negative pivots only.
bool above_all(const std::vector<LanczosStep>& t, double x) {
  double pivot = t[0].alpha - x;
  for (size_t i = 1; i < t.size() && pivot < 0; ++i) {
    pivot = t[i].alpha - x - t[i - 1].beta * t[i - 1].beta / guarded(pivot);
  }
  return pivot < 0;
}

// T's largest eigenvalue, by bisection.
double top_value(const std::vector<LanczosStep>& t) {
  double low = 0, high = 0;
  for (size_t i = 0; i < t.size(); ++i) {
    high = std::max(high, t[i].alpha + t[i].beta + (i > 0 ? t[i - 1].beta : 0));
    low = std::max(low, t[i].alpha);
  }
  while (high - low > 2e-16 * high) {
    const double middle = 0.5 * (low + high);
    if (middle <= low || middle >= high) break;
    (above_all(t, middle) ? high : low) = middle;
  }
  return high;
}

// |last entry| of its unit eigenvector, by the factorisations from both ends where they meet best.
double last_entry(const std::vector<LanczosStep>& t, double value) {
  const size_t k = t.size();
  std::vector<double> top(k), bottom(k), z(k, 1);
  for (size_t i = 0; i < k; ++i) {
    top[i] = guarded(t[i].alpha - value - (i > 0 ? t[i - 1].beta * t[i - 1].beta / top[i - 1] : 0));
  }
  size_t best = k - 1;
  double least = std::abs(top[k - 1]);
  for (size_t i = k; i-- > 0;) {
    bottom[i] = guarded(t[i].alpha - value - (i + 1 < k ? t[i].beta * t[i].beta / bottom[i + 1] : 0));
    const double gap = std::abs(top[i] + bottom[i] - (t[i].alpha - value));
    if (gap >= least) continue;
    least = gap;
    best = i;
  }
  for (size_t i = best + 1; i < k; ++i) z[i] = -z[i - 1] * t[i - 1].beta / bottom[i];
  for (size_t i = best; i-- > 0;) z[i] = -z[i + 1] * t[i].beta / top[i];
  double sum = 0;
  for (const double x : z) sum += x * x;
  return std::abs(z[k - 1]) / std::sqrt(sum);
}

}  // namespace

double largest_eigenvalue(ConstMatrixView a, double tolerance) {
  const int64_t n = a.rows;
  if (n == 0) return 0;
  constexpr int kSteps = 8;  // between two looks
  Matrix v = Matrix::copy_of(start_vector(n), a.space), previous = Matrix::zeros(n, 1, a.space);
  std::vector<LanczosStep> t;
  double best = 0;
  // Without reorthogonalisation the largest Ritz value comes in copies, but it converges all the same (Paige).
  while (t.size() < 4 * static_cast<size_t>(n) + 64) {
    const double beta = t.empty() ? 0 : t.back().beta;
    const std::vector<LanczosStep> more = backend_of(a.space).lanczos(a, beta, previous, v, kSteps);
    t.insert(t.end(), more.begin(), more.end());
    best = top_value(t);
    if (t.back().beta == 0 || t.back().beta * last_entry(t, best) <= tolerance * best) return best;
  }
  return eigvalsh(Matrix::copy_of(a, a.space)).front();  // the long way, where the short one does not arrive
}

}  // namespace gyro::linalg
