#pragma once

#include <optional>
#include <vector>

#include "gyro/edit/recipe.h"

namespace gyro {

/// Builds every variant, tensor by tensor; memory is a few matrices. Returns nothing if `stop` ended it, in which case
/// and on Error no folder is left.
std::optional<std::vector<BuildRow>> run_build(const BuildRequest& request);

}  // namespace gyro
