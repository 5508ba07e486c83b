#include "gyro/diff/value_sums.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "gyro/base/clones.h"
#include "gyro/diff/lanes.h"

namespace gyro {
namespace {

constexpr int64_t kPanelValues = int64_t{1} << 16;  // in FP64 at once

struct Lanes {
  LaneSums change{}, base{}, post{}, product{}, equal{}, base_odd{}, post_odd{};
};

GYRO_CLONES void add_lanes(const double* a, const double* b, size_t count, Lanes& sums) {
  constexpr double kLargest = std::numeric_limits<double>::max();
  for (size_t i = 0; i < count; i += kLanes) {
    for (size_t l = 0; l < kLanes; ++l) {
      const double x = a[i + l], y = b[i + l];
      const bool same = x == y || (x != x && y != y);
      const bool counts = !same || std::abs(x) <= kLargest;
      const double from = counts ? x : 0, to = counts ? y : 0, change = to - from;
      sums.change[l] += change * change;
      sums.base[l] += from * from;
      sums.post[l] += to * to;
      sums.product[l] += from * to;
      sums.equal[l] += same ? 1.0 : 0.0;
      sums.base_odd[l] += x != x || (!same && std::abs(x) > kLargest) ? 1.0 : 0.0;
      sums.post_odd[l] += y != y || (!same && std::abs(y) > kLargest) ? 1.0 : 0.0;
    }
  }
}

ValueSums sums_of(const double* a, const double* b, size_t count) {
  Lanes lanes;
  const size_t whole = count / kLanes * kLanes;
  add_lanes(a, b, whole, lanes);
  if (whole < count) {
    LaneSums last_a{}, last_b{};
    std::copy(a + whole, a + count, last_a.begin());
    std::copy(b + whole, b + count, last_b.begin());
    add_lanes(last_a.data(), last_b.data(), kLanes, lanes);
    for (size_t l = count - whole; l < kLanes; ++l) lanes.equal[l] -= 1;
  }
  return {.change = total(lanes.change),
          .base = total(lanes.base),
          .post = total(lanes.post),
          .product = total(lanes.product),
          .values = static_cast<int64_t>(count),
          .equal = static_cast<int64_t>(total(lanes.equal)),
          .base_odd = static_cast<int64_t>(total(lanes.base_odd)),
          .post_odd = static_cast<int64_t>(total(lanes.post_odd))};
}

double or_nan(double value) {
  return std::isfinite(value) ? value : std::numeric_limits<double>::quiet_NaN();
}

}  // namespace

void ValueSums::add(const ValueSums& other) {
  change += other.change;
  base += other.base;
  post += other.post;
  product += other.product;
  values += other.values;
  equal += other.equal;
  base_odd += other.base_odd;
  post_odd += other.post_odd;
}

bool ValueSums::defined() const {
  return std::isfinite(change) && std::isfinite(base) && std::isfinite(post) && std::isfinite(product);
}

double ValueSums::relative_change() const {
  return or_nan(std::sqrt(change / base));
}

double ValueSums::cosine() const {
  return std::clamp(or_nan(product / (std::sqrt(base) * std::sqrt(post))), -1.0, 1.0);
}

double ValueSums::unchanged() const {
  return or_nan(static_cast<double>(equal) / static_cast<double>(values));
}

std::vector<ValueSums> compare_values(const Weight& base, const Weight& post, bool by_row) {
  const int64_t cols = base.cols, panel = std::max<int64_t>(1, kPanelValues / std::max<int64_t>(1, cols));
  const auto room = static_cast<size_t>(std::min(panel, base.rows) * cols);
  std::vector<double> a(room), b(room);
  std::vector<ValueSums> sums;
  if (!by_row) sums.emplace_back();
  for (int64_t row = 0; row < base.rows; row += panel) {
    const int64_t end = std::min(row + panel, base.rows);
    widen(base, row, end, 0, cols, a.data(), cols);
    widen(post, row, end, 0, cols, b.data(), cols);
    if (!by_row) sums.front().add(sums_of(a.data(), b.data(), static_cast<size_t>((end - row) * cols)));
    for (int64_t i = 0; by_row && i < end - row; ++i)
      sums.push_back(sums_of(a.data() + i * cols, b.data() + i * cols, static_cast<size_t>(cols)));
  }
  return sums;
}

}  // namespace gyro
