#include "gyro/spectra/storage.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

namespace gyro {
namespace {

constexpr int kBias = 1023;

// E[round(N(0, s))²] = Σ_k (2k − 1) P(|N(0, s)| > k − ½).
double rounded_square(double s) {
  if (s > 2) return s * s + 1.0 / 12;  // to e^(−2π²s²)
  double sum = 0;
  for (int k = 1; k < 40; ++k) {
    const double term = (2 * k - 1) * std::erfc((k - 0.5) / (s * std::sqrt(2.0)));
    sum += term;
    if (term < 1e-18 * sum || term == 0) break;
  }
  return sum;
}

// Some values of one size.
struct Bin {
  double count, ulp;
};

std::vector<Bin> bins_of(const StoredPlaces& places, const std::vector<int64_t>& exponents) {
  std::vector<Bin> bins;
  for (size_t e = 0; e < exponents.size(); ++e) {
    if (exponents[e] > 0) bins.push_back({static_cast<double>(exponents[e]), places.ulp(e)});
  }
  return bins;
}

double stored_square(const std::vector<Bin>& bins, double e) {
  double sum = 0;
  for (const Bin& bin : bins) sum += bin.count * bin.ulp * bin.ulp * rounded_square(e / bin.ulp);
  return sum;
}

}  // namespace

StoredPlaces::StoredPlaces(const Weight& weight)
    : mantissa_bits_(dtype_mantissa_bits(weight.dtype)),
      least_exponent_(weight.scale.data == nullptr ? dtype_least_exponent(weight.dtype) : -kBias) {}

double StoredPlaces::ulp(size_t exponent) const {
  return std::ldexp(1.0, std::max(static_cast<int>(exponent) - kBias, least_exponent_) - mantissa_bits_);
}

bool within_rounding(const TallWeight& base, const TallWeight& post) {
  const Weight& b_weight = *base.weight;
  const Weight& p_weight = *post.weight;
  const bool alike =
      b_weight.dtype == p_weight.dtype && (b_weight.scale.data == nullptr) == (p_weight.scale.data == nullptr);
  if (alike) return false;
  const StoredPlaces b_places(b_weight), p_places(p_weight);
  bool within = true, differs = false;
  for_each_panel(base, post, [&](const Panel& b, const Panel& p) {
    if (!within) return;
    const Matrix before = Matrix::copy_of(b.data, Space::Host), after = Matrix::copy_of(p.data, Space::Host);
    for (int64_t j = 0; j < before.cols() && within; ++j) {
      for (int64_t i = 0; i < before.rows(); ++i) {
        const double x = before(i, j), y = after(i, j);
        if (x == y) continue;
        differs = true;
        const size_t exponent = std::bit_cast<uint64_t>(std::min(std::abs(x), std::abs(y))) >> 52;
        within = within && std::abs(x - y) <= 0.5 * (b_places.ulp(exponent) + p_places.ulp(exponent));
      }
    }
  });
  return within && differs;
}

double rounding_norm(const StoredPlaces& places, const std::vector<int64_t>& exponents) {
  double sum = 0;
  for (size_t e = 1; e < exponents.size(); ++e) {  // what is zero was not rounded
    if (exponents[e] > 0) sum += static_cast<double>(exponents[e]) * std::pow(places.ulp(e), 2);
  }
  return std::sqrt(sum / 12);
}

double dense_deviation(const StoredPlaces& places, const std::vector<int64_t>& base_exponents, double change_norm) {
  const std::vector<Bin> bins = bins_of(places, base_exponents);
  double total = 0, largest = 0;
  for (const Bin& bin : bins) {
    total += bin.count;
    largest = std::max(largest, bin.ulp);
  }
  const double rms = change_norm / std::sqrt(total);
  double low = -60, high = 0;  // e = 2^x times this, at which every place is well below e
  const double top = 2 * std::max(rms, largest);
  for (int step = 0; step < 60; ++step) {
    const double middle = 0.5 * (low + high);
    (stored_square(bins, top * std::exp2(middle)) < change_norm * change_norm ? low : high) = middle;
  }
  return top * std::exp2(high);
}

double expected_unchanged(const StoredPlaces& places, const std::vector<int64_t>& base_exponents, double change_norm) {
  if (!(change_norm > 0)) return std::numeric_limits<double>::quiet_NaN();
  const double e = dense_deviation(places, base_exponents, change_norm);
  double equal = 0, total = 0;
  for (const Bin& bin : bins_of(places, base_exponents)) {
    equal += bin.count * std::erf(0.5 * bin.ulp / (e * std::sqrt(2.0)));
    total += bin.count;
  }
  return equal / total;
}

}  // namespace gyro
