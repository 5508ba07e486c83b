#include "gyro/device/device.h"

#include <cstring>

#include "gyro/base/error.h"

namespace gyro::device {
namespace {

[[noreturn]] void refuse() {
  fail("--device", "{}", why_none());
}

}  // namespace

std::vector<Gpu> gpus() {
  return {};
}

std::string why_none() {
  return "this build has no CUDA (nvcc was not found when it was configured)";
}

size_t available(int) {
  return 0;
}

Scope::Scope(int) {
  refuse();
}

Scope::~Scope() = default;

Space here() {
  return Space::Host;
}

void* allocate(size_t) {
  refuse();
}

void release(void*) {}

void copy(void* to, Space, size_t to_pitch, const void* from, Space, size_t from_pitch, size_t bytes, size_t columns) {
  for (size_t j = 0; j < columns; ++j) {
    std::memcpy(static_cast<std::byte*>(to) + j * to_pitch, static_cast<const std::byte*>(from) + j * from_pitch,
                bytes);
  }
}

void upload(void*, const void*, size_t) {
  refuse();
}

void clear(void* memory, size_t bytes) {
  std::memset(memory, 0, bytes);
}

}  // namespace gyro::device
