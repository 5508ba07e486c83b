#pragma once

#include <string>

#include "gyro/base/error.h"

namespace gyro {

/// An error's line as a user of the command line reads it: what is said of a field of a request is said of the option
/// of that name, and where another value of one would let the command pass, that option is named.
std::string error_line(const Error& error);

}  // namespace gyro
