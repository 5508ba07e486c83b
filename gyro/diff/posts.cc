#include "gyro/diff/posts.h"

#include <cmath>

namespace gyro {
namespace {

constexpr double kUndefined = Interference::kNone;

double ratio(double a, double b) {
  return b > 0 && std::isfinite(a / b) ? a / b : kUndefined;
}

}  // namespace

void ChangeOverlap::add(const ChangeOverlap& other) {
  values += other.values;
  changed_a += other.changed_a;
  changed_b += other.changed_b;
  changed_both += other.changed_both;
  same_sign += other.same_sign;
  norm_a = std::hypot(norm_a, other.norm_a);
  norm_b = std::hypot(norm_b, other.norm_b);
  product += other.product;
  product_sd = std::hypot(product_sd, other.product_sd);
  both_expected += other.both_expected;
}

Against ChangeOverlap::cosine() const {
  const double norms = norm_a * norm_b;
  return {.value = ratio(product, norms), .null = 0, .sd = ratio(product_sd, norms)};
}

Against ChangeOverlap::sign_agreement() const {
  const auto count = static_cast<double>(changed_both);
  return {.value = ratio(static_cast<double>(same_sign), count), .null = 0.5, .sd = ratio(0.5, std::sqrt(count))};
}

double ChangeOverlap::jaccard() const {
  return ratio(static_cast<double>(changed_both), static_cast<double>(changed_a + changed_b - changed_both));
}

double ChangeOverlap::jaccard_chance() const {
  return ratio(both_expected, static_cast<double>(changed_a + changed_b) - both_expected);
}

}  // namespace gyro
