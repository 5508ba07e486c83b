#pragma once

#include <cstdint>
#include <vector>

#include "gyro/spectra/decomposition.h"
#include "gyro/spectra/quantities.h"
#include "gyro/spectra/tall.h"

namespace gyro {

/// Of each weight of a base whether it is among the 30 % of smallest magnitude (kLow), and among the 30 % of largest
/// magnitude in the best approximation of rank max(1, ⌊n/10⌋) (kPrincipal); equal magnitudes are all in or all out of
/// a mask. In the order in which panels give them, on the host: a byte a weight.
struct BaseMasks {
  static constexpr uint8_t kLow = 1, kPrincipal = 2;
  std::vector<uint8_t> bits;
};
BaseMasks base_masks(const TallWeight& base, const Decomposition& decomposition);

/// Where the weights lie that differ. `change_norm` is ‖W_p − W_b‖. NaN where nothing does.
MaskOverlap mask_overlap(const BaseMasks& masks, const TallWeight& base, const TallWeight& post, double change_norm);

}  // namespace gyro
