#include "gyro/spectra/change.h"

#include <cmath>
#include <limits>
#include <numeric>

#include "gyro/linalg/lanczos.h"
#include "gyro/linalg/linalg.h"
#include "gyro/spectra/noise_spectrum.h"
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

// How many singular values are above a bound, by their squares.
double count_above(const Matrix& gram, double error, double bound) {
  return static_cast<double>(linalg::eigenvalues_above(gram.clone(), std::max(bound * bound, error)));
}

// vᵀGv for each column v.
std::vector<double> energies_on(const Matrix& gram, const Matrix& vectors) {
  Matrix image(vectors.rows(), vectors.cols(), vectors.space());
  linalg::symm(gram, vectors, 0, image);
  return linalg::line_sums(vectors, image, 0, linalg::Line::Column,
                           std::vector<double>(static_cast<size_t>(vectors.rows())))
      .product;
}

// Of E how much is in the largest singular value (to 1e-8), and of Δ how many stand above what storing the post rounds
// away, a gaussian matrix of that size having norm √m + √n. A scale may be what fills Δ; then E is asked too. It is not
// where the scale is within chance, which has then moved c and fills E with the base, nor where what it does to all but
// the twentieth part of the directions is below rounding.
void fill_rank(PairInput& in, const Change& change, PairMeasure& out) {
  const ResidualGram residual = residual_gram(in, out.scale, change);
  const std::vector<double> squares = linalg::diagonal(residual.gram);
  const double energy = std::accumulate(squares.begin(), squares.end(), 0.0);
  double on_diagonal = 0;
  for (const double x : squares) on_diagonal += x * x;
  in.purity = (2 * std::pow(linalg::norm(residual.gram), 2) - on_diagonal) / (energy * energy);  // a lower triangle
  if (in.base.m > in.base.n) in.short_energy = energies_on(residual.gram, in.base_by_gram.short_vectors);
  out.stable_rank = energy / linalg::largest_eigenvalue(residual.gram, 1e-8);
  const auto rows = static_cast<double>(in.base.m), columns = static_cast<double>(in.base.n);
  const double bound = 1.2 * out.rounding_norm / std::sqrt(rows * columns) * (std::sqrt(rows) + std::sqrt(columns));
  double rank = count_above(change.gram, unit_error(in.base.m) * change.norm_squared, bound);
  const double moved = std::abs(out.scale - 1), chance = std::sqrt(energy / (in.base_norm_squared * rows * columns));
  const bool scaled = moved > 4 * chance;
  if (in.options.update_spectrum) {
    out.quantities.update_spectrum =
        scaled ? update_spectrum(linalg::eigvalsh(residual.gram.clone()), in.base.m, residual.error)
               : update_spectrum(linalg::eigvalsh(change.gram.clone()), in.base.m,
                                 unit_error(in.base.m) * change.norm_squared);
  }
  if (scaled && moved * in.base_by_gram.sigma[in.base_by_gram.sigma.size() / 20] > bound)
    rank = std::min(rank, count_above(residual.gram, residual.error, bound));
  out.update_rank = rank / columns;
}

// The same of a post with scales, whose places are known value by value.
void look_at_scaled(const TallWeight& base, const TallWeight& post, Change& change) {
  const ScaleTable scales(*post.weight);
  PlaceTally before{StoredPlaces(*post.weight)}, after = before;
  for_each_panel(base, post, [&](const Panel& b, const Panel& p) {
    const Matrix x = Matrix::copy_of(b.data, Space::Host), y = Matrix::copy_of(p.data, Space::Host);
    for (int64_t j = 0; j < x.cols(); ++j) {
      for (int64_t i = 0; i < x.rows(); ++i) {
        const double scale = scales.at(p, i, j);
        before.add(x(i, j), scale);
        after.add(y(i, j), scale);
      }
    }
  });
  change.places = before.bins();
  change.rounding_square = after.rounding_square();
}

}  // namespace

Change measure_change(const TallWeight& base, const TallWeight& post) {
  Change change{.gram = Matrix::zeros(base.n, base.n), .cross = Matrix::zeros(base.n, base.n)};
  const StoredPlaces b_places(*base.weight), p_places(*post.weight);
  const bool scaled = post.weight->scale.data != nullptr;  // places are then looked at value by value
  const bool all_stored = scaled || p_places.holds_all_of(b_places);
  std::vector<int64_t> b_exponents(linalg::kExponents), p_exponents = b_exponents, stored = b_exponents;
  for_each_panel(base, post, [&](const Panel& b, const Panel& p) {
    add_counts(b_exponents, linalg::exponent_counts(b.data));
    add_counts(p_exponents, linalg::exponent_counts(p.data));
    if (!all_stored) add_counts(stored, linalg::exponent_counts(b.data, p_places.grid()));
    const linalg::ChangeSums sums = linalg::subtract(b.data, p.data);
    change.norm_squared += sums.change;
    change.inner += sums.inner;
    change.post_norm_squared += sums.post;
    change.unchanged += sums.unchanged;
    add_gram(p, change.gram);
    add_cross(b, p, change.cross);
  });
  check_finite(*post.weight, change.post_norm_squared);
  change.base_rounding_square = rounding_square(b_places, b_exponents);
  if (scaled) {
    look_at_scaled(base, post, change);
  } else {
    change.places = place_bins(p_places, b_exponents, all_stored ? b_exponents : stored);
    change.rounding_square = rounding_square(p_places, p_exponents);
  }
  return change;
}

void fill_change(PairInput& in, const Change& change, PairMeasure& out) {
  const double base_norm_squared = in.base_norm_squared;
  const int64_t entries = in.base.m * in.base.n;
  // 1 + (−1) would leave a rounding of a post that is zero, and a null model around it.
  out.scale = change.post_norm_squared == 0 && base_norm_squared > 0 ? 0 : 1 + change.inner / base_norm_squared;
  out.relative_change = std::sqrt(change.norm_squared / base_norm_squared);
  out.cosine =
      (base_norm_squared + change.inner) / (std::sqrt(base_norm_squared) * std::sqrt(change.post_norm_squared));
  out.unchanged = static_cast<double>(change.unchanged) / static_cast<double>(entries);
  if (change.unchanged == entries) out.flags.push_back("unchanged");
  out.rounding_norm = std::sqrt(change.rounding_square);
  out.sparse_expected = expected_unchanged(change.places, std::sqrt(change.norm_squared));
  out.stable_rank = out.update_rank = std::numeric_limits<double>::quiet_NaN();
  // Half a place of each is at most half the sum of their squares; places of a base's scaled values are known to a
  // factor of two.
  const double most = 4 * 0.5 * 12 * (change.rounding_square + change.base_rounding_square);
  if (change.norm_squared <= most && within_rounding(in.base, in.post)) out.flags.push_back("rounding_only");
  if (change.norm_squared > 0 && std::isfinite(out.scale)) fill_rank(in, change, out);
}

}  // namespace gyro
