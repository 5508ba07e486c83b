#pragma once

#include <string>

namespace gyro {

/// From now on the first Ctrl-C (or SIGTERM) only sets `interrupted`, so that work at hand can end in order; where it
/// has not within a second, the program ends all the same, having removed what is unfinished and said what is left.
/// The second ends it at once.
void catch_interrupts(const std::string& what_is_left);
/// From now on this is what is said to be left, whatever runs within say: they are parts of one run.
void hold_interruption_text(const std::string& what_is_left);
bool interrupted();

/// What is left of a run that writes at its end.
inline constexpr const char* kNothingWritten = "nothing was written";

/// Says that the run was interrupted and what is left of it; returns the exit code.
int report_interruption(const std::string& what_is_left);

}  // namespace gyro
