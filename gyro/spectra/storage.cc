#include "gyro/spectra/storage.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

namespace gyro {
namespace {

constexpr int kBias = 1023;
constexpr int kSkipped = 49;  // bits of a place: what stays is its exponent and three bits more
// Who quantises divides by the scale in FP32, and may land on the other side of the middle.
constexpr double kScaledSlack = 1 + 0x1p-20;

size_t exponent_of(double x) {
  return std::bit_cast<uint64_t>(std::abs(x)) >> 52;
}

// E[(ulp round(N(0, e)/ulp))²] = ulp² Σ_k (2k − 1) P(|N(0, e)| > (k − ½) ulp).
double rounded_square(double e, double ulp) {
  if (e > 2 * ulp) return e * e + ulp * ulp / 12;  // to e^(−2π²(e/ulp)²)
  double sum = 0;
  for (int k = 1; k < 40; ++k) {
    const double term = (2 * k - 1) * std::erfc((k - 0.5) * ulp / (e * std::sqrt(2.0)));
    sum += term;
    if (term < 1e-18 * sum || term == 0) break;
  }
  return ulp * ulp * sum;
}

double stored_square(const PlaceBins& bins, double e) {
  double sum = 0;
  for (const PlaceBin& bin : bins)
    sum += bin.stored * rounded_square(e, bin.ulp) + bin.between * (e * e + bin.ulp * bin.ulp / 12);
  return sum;
}

double count_of(const PlaceBins& bins) {
  double total = 0;
  for (const PlaceBin& bin : bins) total += bin.stored + bin.between;
  return total;
}

}  // namespace

StoredPlaces::StoredPlaces(const Weight& weight)
    : mantissa_bits_(dtype_mantissa_bits(weight.dtype)),
      least_exponent_(dtype_least_exponent(weight.dtype)),
      scaled_(weight.scale.data != nullptr) {}

double StoredPlaces::ulp(size_t exponent) const {
  return std::ldexp(1.0, std::max(static_cast<int>(exponent) - kBias, least_exponent_) - mantissa_bits_);
}

double StoredPlaces::ulp_at(double x) const {
  return ulp(exponent_of(x));
}

bool StoredPlaces::holds_all_of(const StoredPlaces& other) const {
  return !scaled_ && !other.scaled_ && mantissa_bits_ >= other.mantissa_bits_ &&
         least_exponent_ - mantissa_bits_ <= other.least_exponent_ - other.mantissa_bits_;
}

PlaceBins place_bins(const StoredPlaces& places, const std::vector<int64_t>& all, const std::vector<int64_t>& stored) {
  PlaceBins bins;
  for (size_t e = 0; e < all.size(); ++e) {
    if (all[e] == 0) continue;
    bins.push_back({places.ulp(e), static_cast<double>(stored[e]), static_cast<double>(all[e] - stored[e])});
  }
  return bins;
}

PlaceTally::PlaceTally(const StoredPlaces& places) : places_(places), parts_(size_t{1} << (63 - kSkipped)) {}

void PlaceTally::add(double x, double scale) {
  const double value = x / scale, ulp = places_.ulp_at(value) * scale;
  Part& part = parts_[std::bit_cast<uint64_t>(ulp) >> kSkipped];
  ++(linalg::is_on(places_.grid(), std::bit_cast<uint64_t>(value)) ? part.stored : part.between);
  part.zeros += x == 0 ? 1 : 0;
  part.squares += ulp * ulp;
}

PlaceBins PlaceTally::bins() const {
  PlaceBins bins;
  for (const Part& part : parts_) {
    if (part.stored + part.between == 0) continue;
    const double ulp = std::sqrt(part.squares / static_cast<double>(part.stored + part.between));
    bins.push_back({ulp, static_cast<double>(part.stored), static_cast<double>(part.between)});
  }
  return bins;
}

double PlaceTally::rounding_square() const {
  double sum = 0;
  for (const Part& part : parts_) {
    if (part.stored + part.between == 0) continue;
    const auto count = static_cast<double>(part.stored + part.between);
    sum += part.squares * (count - static_cast<double>(part.zeros)) / count;
  }
  return sum / 12;
}

ScaleTable::ScaleTable(const Weight& weight) : scale_(weight.scale), first_row_(weight.first_row) {
  if (scale_.data == nullptr) return;
  const size_t count = weight.scale_rows() * static_cast<size_t>(scale_.cols), bytes = count * dtype_size(scale_.dtype);
  std::vector<std::byte> stored;
  const std::byte* near = scale_.data;
  if (weight.space == Space::Device) {
    stored.resize(bytes);
    device::copy(stored.data(), Space::Host, bytes, scale_.data, Space::Device, bytes, bytes, 1);
    near = stored.data();
  }
  values_.resize(count);
  widen(scale_.dtype, near, count, values_.data());
  for (double& value : values_) value = value == 0 ? 1 : std::abs(value);  // what is zero has no places
}

double ScaleTable::at(const Panel& panel, int64_t i, int64_t j) const {
  if (values_.empty()) return 1;
  const int64_t row = first_row_ + (panel.transposed ? panel.begin + j : j),
                col = panel.transposed ? i : panel.begin + i;
  return values_[static_cast<size_t>(row / scale_.block_rows * scale_.cols + col / scale_.block_cols)];
}

bool within_rounding(const TallWeight& base, const TallWeight& post) {
  const Weight& b_weight = *base.weight;
  const Weight& p_weight = *post.weight;
  const bool scaled = b_weight.scale.data != nullptr || p_weight.scale.data != nullptr;
  const bool alike =
      b_weight.dtype == p_weight.dtype && (b_weight.scale.data == nullptr) == (p_weight.scale.data == nullptr);
  if (alike) return false;
  const StoredPlaces b_places(b_weight), p_places(p_weight);
  const ScaleTable b_scales(b_weight), p_scales(p_weight);
  const double half = 0.5 * (scaled ? kScaledSlack : 1);
  bool within = true, differs = false;
  for_each_panel(base, post, [&](const Panel& b, const Panel& p) {
    if (!within) return;
    const Matrix before = Matrix::copy_of(b.data, Space::Host), after = Matrix::copy_of(p.data, Space::Host);
    for (int64_t j = 0; j < before.cols() && within; ++j) {
      for (int64_t i = 0; i < before.rows(); ++i) {
        const double x = before(i, j), y = after(i, j);
        if (x == y) continue;
        differs = true;
        const double least = std::min(std::abs(x), std::abs(y));
        const double bs = b_scales.at(b, i, j), ps = p_scales.at(p, i, j);
        within =
            within && std::abs(x - y) <= half * (bs * b_places.ulp_at(least / bs) + ps * p_places.ulp_at(least / ps));
      }
    }
  });
  return within && differs;
}

double rounding_square(const StoredPlaces& places, const std::vector<int64_t>& exponents) {
  double sum = 0;
  for (size_t e = 1; e < exponents.size(); ++e) {  // what is zero was not rounded
    if (exponents[e] > 0) sum += static_cast<double>(exponents[e]) * std::pow(places.ulp(e), 2);
  }
  return sum / 12;
}

double dense_deviation(const PlaceBins& bins, double change_norm) {
  double largest = 0;
  for (const PlaceBin& bin : bins) largest = std::max(largest, bin.ulp);
  const double rms = change_norm / std::sqrt(count_of(bins));
  double low = -60, high = 0;  // e = 2^x times this, at which every place is well below e
  const double top = 2 * std::max(rms, largest);
  for (int step = 0; step < 60; ++step) {
    const double middle = 0.5 * (low + high);
    (stored_square(bins, top * std::exp2(middle)) < change_norm * change_norm ? low : high) = middle;
  }
  return top * std::exp2(high);
}

double changed_by(const PlaceBins& bins, double e) {
  double changed = 0;
  for (const PlaceBin& bin : bins)
    changed += bin.stored * std::erfc(0.5 * bin.ulp / (e * std::sqrt(2.0))) + bin.between;
  return changed;
}

double expected_unchanged(const PlaceBins& bins, double change_norm) {
  if (!(change_norm > 0)) return std::numeric_limits<double>::quiet_NaN();
  const double e = dense_deviation(bins, change_norm);
  double same = 0;
  for (const PlaceBin& bin : bins) same += bin.stored * std::erf(0.5 * bin.ulp / (e * std::sqrt(2.0)));
  return same / count_of(bins);
}

}  // namespace gyro
