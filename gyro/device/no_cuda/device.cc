#include "gyro/device/device.h"

#include "gyro/base/error.h"

namespace gyro::device {
namespace {

[[noreturn]] void refuse() {
  fail({ErrorKind::Device, "device"}, "device", "{}", why_none());
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

Scope::~Scope() {}  // not "= default": the other device room has something to do here

Space here() {
  return Space::Host;
}

void* allocate(size_t) {
  refuse();
}

void release(void*) {}

void copy(void*, Space, size_t, const void*, Space, size_t, size_t, size_t) {
  refuse();
}

void upload(void*, const void*, size_t) {
  refuse();
}

void clear(void*, size_t) {
  refuse();
}

}  // namespace gyro::device
