#pragma once

#include <string>

namespace gyro {

/// From now on the first Ctrl-C (or SIGTERM) only sets `interrupted`, so that work at hand can end in order; the second
/// ends the program at once.
void catch_interrupts();
bool interrupted();

/// Says that the run was interrupted and what is left of it; returns the exit code.
int report_interruption(const std::string& what_is_left);

}  // namespace gyro
