#pragma once

#include "gyro/cli/table.h"
#include "gyro/diff/result.h"

namespace gyro {

/// How far the checkpoints of a series have gone: of each type the relative change and, where it is known, the overlap
/// of leading subspaces with the last checkpoint's, a row a step, with the step at which half of the way was gone. No
/// rows where it is no series.
Table trajectory_table(const DiffResult& result);

}  // namespace gyro
