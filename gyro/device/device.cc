#include "gyro/device/device.h"

#include <fmt/format.h>

namespace gyro::device {

OutOfMemory::OutOfMemory(size_t bytes) : text_(fmt::format("the GPU has no {} bytes left", bytes)) {}

}  // namespace gyro::device
