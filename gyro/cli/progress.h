#pragma once

#include <string>

#include "gyro/base/progress.h"

namespace gyro {

/// "41 s", "3 min 07 s", "2 h 05 min".
std::string format_duration(double seconds);

/// How far a run has come in one line of at most `width` columns: what is worked on, how long so far, how long still.
std::string progress_line(const ProgressState& state, size_t width);

/// Shows it on stderr: on a terminal in one line that changes, elsewhere (a log) in a line a minute.
ProgressSink stderr_progress();

}  // namespace gyro
