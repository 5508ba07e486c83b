#include "gyro/base/error.h"
#include "gyro/linalg/backend.h"

namespace gyro::linalg {

const Backend& cuda() {
  fail({ErrorKind::Device, "device"}, "device", "{}", device::why_none());
}

void open_gpu_libraries() {
  cuda();
}

}  // namespace gyro::linalg
