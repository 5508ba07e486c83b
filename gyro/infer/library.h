#pragma once

#include <string>

namespace gyro {

/// Whether this build can run models: llama.cpp is in it.
bool can_infer();

/// What runs models: llama.cpp with the devices that it has; or why this build cannot.
std::string infer_library();

}  // namespace gyro
