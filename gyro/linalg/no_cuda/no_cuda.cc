#include "gyro/base/error.h"
#include "gyro/linalg/backend.h"

namespace gyro::linalg {

const Backend& cuda() {
  fail("--device", "{}", device::why_none());
}

}  // namespace gyro::linalg
