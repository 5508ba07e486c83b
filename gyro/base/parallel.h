#pragma once

#include <functional>

namespace gyro {

/// Calls job(i) for i = 0 ... count-1 on `threads` threads (this one included), in that order of starting. The first
/// exception stops further jobs from starting and is thrown again here once the running ones have ended. `stop`, asked
/// before each start, ends the run early in the same way. Returns whether all jobs ran.
bool parallel_for(int count, int threads, const std::function<void(int)>& job,
                  const std::function<bool()>& stop = nullptr);

/// Processors that this process may run on, at least 1.
int available_processors();

}  // namespace gyro
