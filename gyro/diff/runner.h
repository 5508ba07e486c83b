#pragma once

#include <cstdint>
#include <optional>

#include "gyro/diff/plan.h"
#include "gyro/diff/result.h"

namespace gyro {

/// The result of a run, or how far it came when `stop` ended it.
struct DiffOutcome {
  std::optional<DiffResult> result;  ///< nothing if stopped
  int64_t done = 0;                  ///< matrices finished, earlier runs' included
  int64_t total = 0;
  int64_t kept = 0;  ///< of these, finished by earlier runs
};

/// Runs a comparison (design §1, §4): one base, its posts and controls, each matrix of the base decomposed once,
/// square ones first, then the largest, over the threads. What is finished is kept in `out` at once, and stays there
/// whatever happens, unless an input turns out to be bad. Throws Error for bad input, for an `out` that is the folder
/// of an input, before anything is written, and for one that another run is writing to.
DiffOutcome run_diff(const DiffRequest& request);

}  // namespace gyro
