#pragma once

#include <vector>

#include "gyro/diff/result.h"

namespace gyro {

/// The findings of a comparison from its matrices and types, in words with their evidence. Fused types stay out.
std::vector<Finding> find_findings(const std::vector<MatrixRow>& rows, const std::vector<TypeRow>& types);

}  // namespace gyro
