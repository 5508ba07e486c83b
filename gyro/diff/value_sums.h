#pragma once

#include <cstdint>
#include <vector>

#include "gyro/tensor/weight.h"

namespace gyro {

/// Sums over values that two tensors have in the same places, b of the base and p of the post. What is equal without
/// being finite, as in a mask, is in no sum but the counts.
struct ValueSums {
  double change = 0, base = 0, post = 0, product = 0;  ///< Σ (p − b)², Σ b², Σ p², Σ bp
  int64_t values = 0, equal = 0;                       ///< how many, and of these equal (NaN is equal to NaN)
  int64_t base_odd = 0, post_odd = 0;  ///< that are NaN, or infinite and not equal: no such sum is defined then

  /// Σ (p − b)², Σ b², Σ p², Σ bp are numbers.
  bool defined() const;

  void add(const ValueSums& other);
  bool differs() const { return equal < values; }
  /// ‖p − b‖/‖b‖, ⟨b, p⟩/(‖b‖‖p‖), the share of values that are equal: NaN where one is not defined.
  double relative_change() const;
  double cosine() const;
  double unchanged() const;
};

/// The sums of two weights of one shape, in FP64, of each row (`by_row`) or of all, the same each time.
std::vector<ValueSums> compare_values(const Weight& base, const Weight& post, bool by_row);

}  // namespace gyro
