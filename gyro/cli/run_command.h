#pragma once

#include <string>
#include <vector>

namespace gyro {

/// Runs a command line, given without the program's name, and returns its exit code. What goes wrong is said in a line
/// on stderr.
int run_command(const std::vector<std::string>& arguments);

}  // namespace gyro
