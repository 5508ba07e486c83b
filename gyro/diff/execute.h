#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "gyro/base/run_options.h"
#include "gyro/diff/plan.h"

namespace gyro {

/// Takes a finished unit, on any thread, several at once.
using UnitSink = std::function<void(int64_t unit, UnitResult result)>;

/// Computes `units` of a plan, in that order, on this process's threads or GPUs, and gives each to `sink` as soon as it
/// is finished. Returns whether all are done: `run.stop` ends it early. Throws what a unit or the sink threw first.
bool execute(const DiffPlan& plan, const std::vector<int64_t>& units, const RunOptions& run, const UnitSink& sink);

}  // namespace gyro
