#pragma once

#include <optional>
#include <vector>

#include "gyro/diff/result.h"

namespace gyro {

/// TypeRow::quantities of a type's rows.
std::optional<Quantities> pool_quantities(const std::vector<const MatrixRow*>& rows);

}  // namespace gyro
