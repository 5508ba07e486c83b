#pragma once

#include <string>
#include <vector>

#include "gyro/arch/arch.h"
#include "gyro/checkpoint/source.h"
#include "gyro/tensor/weight.h"

namespace gyro {

/// Where the scales of an FP8 tensor are, and how its elements find theirs; no tensor, no scales.
struct Scales {
  std::string tensor;
  BlockScale layout;  ///< without the data
};

/// The scales of the tensor `name`. Throws Error naming the tensor for those that do not fit, for two that differ, and
/// for FP8 without any where config.json or a tensor beside it says that there should be some.
Scales find_scales(const TensorSource& checkpoint, const std::string& name, const SourceTensor& tensor);

/// What a user should know of the matrices that are FP8 without scales, cast from weights or stripped of what they are
/// to be multiplied by: "tensor ... is FP8 and has no scales: ...". No line where there are none.
std::string unscaled_words(const TensorSource& checkpoint, const std::vector<MatrixSite>& sites);

}  // namespace gyro
