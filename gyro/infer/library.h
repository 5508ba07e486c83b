#pragma once

#include <string>

namespace gyro {

/// Whether this build can run models: llama.cpp is in it.
bool can_infer();

/// What runs models: llama.cpp with the devices that it has; or why this build cannot.
std::string infer_library();

/// Has `report` told why llama.cpp is about to abort the process, which it does if `report` returns.
void report_aborts(void (*report)(const std::string& reason));

}  // namespace gyro
