#include "gyro/spectra/change.h"

#include <cmath>
#include <limits>
#include <numeric>

#include "gyro/linalg/lanczos.h"
#include "gyro/linalg/linalg.h"
#include "gyro/spectra/storage.h"

namespace gyro {
namespace {

void add_counts(std::vector<int64_t>& sum, const std::vector<int64_t>& part) {
  for (size_t i = 0; i < sum.size(); ++i) sum[i] += part[i];
}

// How far a Gram matrix of m rows is off, as a share of the squares that went into it.
double unit_error(int64_t m) {
  return 8 * std::sqrt(static_cast<double>(m)) * 0x1p-53;
}

// EᵀE (lower triangle) and an estimate of what it is wrong by: from the products of Δ, or by a pass where E is so small
// beside Δ that they cancel.
struct ResidualGram {
  Matrix gram;
  double error = 0;
};

ResidualGram residual_gram(const PairInput& in, double c, const Change& change) {
  constexpr double kCancels = 1e-6;
  const double left = change.norm_squared - change.inner * change.inner / in.base_norm_squared;
  if (left > kCancels * change.norm_squared) {
    ResidualGram out{change.gram.clone(),
                     unit_error(in.base.m) * (change.norm_squared + (c - 1) * (c - 1) * in.base_norm_squared)};
    Matrix base = Matrix::zeros(in.base.n, in.base.n), cross = base.clone();
    linalg::add((c - 1) * (c - 1), in.base_gram, base);
    linalg::add(1 - c, change.cross, cross);
    linalg::add_with_transpose(base, cross, out.gram);
    return out;
  }
  ResidualGram out{Matrix::zeros(in.base.n, in.base.n), 0};
  for_each_panel(in.base, in.post, [&](const Panel& b, const Panel& p) {
    linalg::add(-c, b.data, p.data);
    out.error += unit_error(in.base.m) * linalg::dot(p.data, p.data);
    add_gram(p, out.gram);
  });
  return out;
}

// How many singular values stand above what storing the post rounds away: a gaussian matrix of that size has norm
// √m + √n.
double above_rounding(const Matrix& gram, double error, double rounding, int64_t m) {
  const auto rows = static_cast<double>(m), columns = static_cast<double>(gram.rows());
  const double bound = 1.2 * rounding / std::sqrt(rows * columns) * (std::sqrt(rows) + std::sqrt(columns));
  return static_cast<double>(linalg::eigenvalues_above(gram.clone(), std::max(bound * bound, error)));
}

// Of E how much is in the largest singular value (to 1e-8), and of Δ how many stand above rounding. Where a scale is
// beyond chance it may be what fills Δ, so that E is asked too; not where it is not, since a c that chance has moved
// fills E with the base.
void fill_rank(const PairInput& in, const Change& change, PairMeasure& out) {
  const ResidualGram residual = residual_gram(in, out.scale, change);
  const std::vector<double> squares = linalg::diagonal(residual.gram);
  const double energy = std::accumulate(squares.begin(), squares.end(), 0.0);
  out.stable_rank = energy / linalg::largest_eigenvalue(residual.gram, 1e-8);
  const auto rows = static_cast<double>(in.base.m), columns = static_cast<double>(in.base.n);
  const double error = unit_error(in.base.m) * change.norm_squared;
  double rank = above_rounding(change.gram, error, out.rounding_norm, in.base.m);
  const double chance = std::sqrt(energy / (in.base_norm_squared * rows * columns));
  if (std::abs(out.scale - 1) > 4 * chance)
    rank = std::min(rank, above_rounding(residual.gram, residual.error, out.rounding_norm, in.base.m));
  out.update_rank = rank / columns;
}

}  // namespace

Change measure_change(const TallWeight& base, const TallWeight& post) {
  Change change{.gram = Matrix::zeros(base.n, base.n), .cross = Matrix::zeros(base.n, base.n)};
  change.base_exponents = change.post_exponents = std::vector<int64_t>(linalg::kExponents);
  for_each_panel(base, post, [&](const Panel& b, const Panel& p) {
    add_counts(change.base_exponents, linalg::exponent_counts(b.data));
    add_counts(change.post_exponents, linalg::exponent_counts(p.data));
    const linalg::ChangeSums sums = linalg::subtract(b.data, p.data);
    change.norm_squared += sums.change;
    change.inner += sums.inner;
    change.post_norm_squared += sums.post;
    change.unchanged += sums.unchanged;
    add_gram(p, change.gram);
    add_cross(b, p, change.cross);
  });
  check_finite(*post.weight, change.post_norm_squared);
  return change;
}

void fill_change(const PairInput& in, const Change& change, PairMeasure& out) {
  const double base_norm_squared = in.base_norm_squared;
  const int64_t entries = in.base.m * in.base.n;
  // 1 + (−1) would leave a rounding of a post that is zero, and a null model around it.
  out.scale = change.post_norm_squared == 0 && base_norm_squared > 0 ? 0 : 1 + change.inner / base_norm_squared;
  out.relative_change = std::sqrt(change.norm_squared / base_norm_squared);
  out.cosine =
      (base_norm_squared + change.inner) / (std::sqrt(base_norm_squared) * std::sqrt(change.post_norm_squared));
  out.unchanged = static_cast<double>(change.unchanged) / static_cast<double>(entries);
  if (change.unchanged == entries) out.flags.push_back("unchanged");
  const StoredPlaces places(*in.post.weight);
  out.rounding_norm = rounding_norm(places, change.post_exponents);
  out.sparse_expected = expected_unchanged(places, change.base_exponents, std::sqrt(change.norm_squared));
  out.stable_rank = out.update_rank = std::numeric_limits<double>::quiet_NaN();
  if (change.norm_squared > 0 && std::isfinite(out.scale)) fill_rank(in, change, out);
}

}  // namespace gyro
