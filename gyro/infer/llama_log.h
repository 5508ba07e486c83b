#pragma once

#include <string>

namespace gyro {

/// Starts llama.cpp, silent, and forgets what it said of errors before: to be called ahead of what may fail.
void start_llama();

/// The last line that llama.cpp said of an error on this thread, empty for none.
std::string llama_problem();

}  // namespace gyro
