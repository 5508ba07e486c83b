#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

namespace gyro {

/// Running mean and deviation (Welford), which can be merged.
class Moments {
 public:
  void add(double x) {
    ++count_;
    const double delta = x - mean_;
    mean_ += delta / static_cast<double>(count_);
    squares_ += delta * (x - mean_);
  }
  void add(const Moments& other) {
    if (other.count_ == 0) return;
    const auto total = static_cast<double>(count_ + other.count_);
    const double delta = other.mean_ - mean_;
    squares_ +=
        other.squares_ + delta * delta * static_cast<double>(count_) * static_cast<double>(other.count_) / total;
    mean_ += delta * static_cast<double>(other.count_) / total;
    count_ += other.count_;
  }
  /// Of `count` values known by their mean and population deviation.
  static Moments of(int64_t count, double mean, double deviation) {
    Moments m;
    m.count_ = count;
    m.mean_ = mean;
    m.squares_ = deviation * deviation * static_cast<double>(count);
    return m;
  }
  int64_t count() const { return count_; }
  /// NaN of nothing.
  double mean() const { return count_ > 0 ? mean_ : std::numeric_limits<double>::quiet_NaN(); }
  /// Population deviation.
  double deviation() const { return std::sqrt(squares_ / static_cast<double>(count_)); }
  /// With n − 1; NaN below two values.
  double sample_deviation() const {
    return count_ > 1 ? std::sqrt(squares_ / static_cast<double>(count_ - 1))
                      : std::numeric_limits<double>::quiet_NaN();
  }

 private:
  int64_t count_ = 0;
  double mean_ = 0;
  double squares_ = 0;
};

/// The middle one of those that are not NaN, the upper of two; NaN of nothing.
inline double median(std::vector<double> values) {
  std::erase_if(values, [](double x) { return std::isnan(x); });
  if (values.empty()) return std::numeric_limits<double>::quiet_NaN();
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

}  // namespace gyro
