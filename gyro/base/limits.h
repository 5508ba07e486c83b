#pragma once

#include <cstddef>
#include <filesystem>

namespace gyro {

/// What of the machine this process may use: the machine's, the affinity mask's and every enclosing control group's
/// (version 1 and 2), whichever is least.
struct Limits {
  int processors = 1;    ///< a control group's quota of processor time counts too, rounded up: 2 of `docker --cpus=1.5`
  size_t available = 0;  ///< bytes of memory not in use; what the kernel can take back from file caches is not in use
};

/// `root` is where /proc and /sys are looked for.
Limits process_limits(const std::filesystem::path& root = "/");

/// process_limits().processors: at least 1.
int available_processors();

}  // namespace gyro
