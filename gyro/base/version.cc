#include "gyro/base/version.h"

// The only file to include it: it changes with every commit.
#include "gyro/version.h"

namespace gyro {

std::string_view version() {
  return GYRO_VERSION;
}

std::string_view git_id() {
  return GYRO_GIT_ID;
}

}  // namespace gyro
