#pragma once

#include <optional>
#include <vector>

#include "gyro/arch/arch.h"
#include "gyro/checkpoint/source.h"
#include "gyro/checkpoint/writer.h"
#include "gyro/tensor/matrix.h"
#include "gyro/tensor/weight.h"

namespace gyro {

using Bytes = std::vector<std::byte>;

/// The tensors of `model` as they will be written: floating-point ones in `dtype`, or as they are when it is nothing;
/// FP8 scales are left out (they are multiplied in). Throws Error naming a tensor whose type cannot be written.
std::vector<PlannedTensor> plan_tensors(const TensorSource& model, std::optional<DType> dtype);

/// A tensor of `model` as planned: in the planned dtype, FP8 scales multiplied in. Throws Error naming the tensor if a
/// weight is too large for that dtype.
Bytes copy_tensor(const TensorSource& model, const PlannedTensor& planned);

/// `values`, on the host, stored in `dtype`, and the square of the norm of what that rounds away.
struct Stored {
  Bytes bytes;
  double rounding = 0;
};
Stored store(const Matrix& values, DType dtype);

/// Σ (a − b)² of two that lie together; of weights by panels, so that no FP64 copy of them is made.
double squared_distance(const Weight& a, const Weight& b);

}  // namespace gyro
