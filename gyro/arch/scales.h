#pragma once

#include <string>

#include "gyro/checkpoint/source.h"
#include "gyro/tensor/weight.h"

namespace gyro {

/// Where the scales of an FP8 tensor are, and how its elements find theirs; no tensor, no scales.
struct Scales {
  std::string tensor;
  BlockScale layout;  ///< without the data
};

/// The scales of the tensor `name`. Throws Error naming the tensor for those that do not fit, and for FP8 without any
/// where config.json or a tensor beside it says that there should be some.
Scales find_scales(const TensorSource& checkpoint, const std::string& name, const SourceTensor& tensor);

}  // namespace gyro
