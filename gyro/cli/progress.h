#pragma once

#include <string>

#include "gyro/base/progress.h"

namespace gyro {

/// A line on stderr that is drawn over and over: a bar, items, rate and time left. Empty where stderr is no terminal.
ProgressSink terminal_progress();

/// The line's text, without the control characters: "[####....] 3/10 matrices  1.5/s  42 s left".
std::string progress_line(const ProgressState& state);

/// "42 s", "3 min 05 s", "2 h 10 min".
std::string format_duration(double seconds);

}  // namespace gyro
