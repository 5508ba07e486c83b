#pragma once

#include "gyro/base/error.h"
#include "gyro/infer/library.h"

namespace gyro {

/// What is asked of a build without llama.cpp ends here.
[[noreturn]] inline void refuse() {
  fail("engine", "{}", infer_library());
}

}  // namespace gyro
