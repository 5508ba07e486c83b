#pragma once

#include <string_view>

namespace gyro {

/// The version of this library, "1.2.3".
std::string_view version();

/// The commit that was checked out when its build was configured, 12 hex digits; empty outside a repository.
std::string_view git_id();

}  // namespace gyro
