#include "gyro/device/device.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <stdexcept>

#include "gyro/base/error.h"
#include "gyro/device/cuda/stream.h"

namespace gyro::device {
namespace {

// Page-locking memory costs time at the start: a millisecond for 4 MB.
constexpr size_t kStaging = size_t{1} << 20;
constexpr size_t kSmall = size_t{1} << 19;

// A thread's stream on one GPU, with two page-locked buffers that uploads alternate between, and a third for vectors
// and sums that come and go: what is sent from it need not be waited for.
struct ThreadStream {
  int gpu = 0;
  cudaStream_t stream = nullptr;
  std::byte *staging[2] = {}, *small = nullptr;
  cudaEvent_t sent[2] = {};
  size_t small_used = 0;  // since the stream was last waited for

  explicit ThreadStream(int index) : gpu(index) {
    check(cudaSetDevice(index), "set device");
    check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "create a stream");
    void* locked = nullptr;
    check(cudaMallocHost(&locked, 2 * kStaging + kSmall), "page-locked memory");
    small = static_cast<std::byte*>(locked);
    for (int i = 0; i < 2; ++i) {
      staging[i] = small + kSmall + static_cast<size_t>(i) * kStaging;
      check(cudaEventCreateWithFlags(&sent[i], cudaEventDisableTiming), "create an event");
    }
    // Freed memory stays with the process: the analysis asks for the same few sizes over and over.
    cudaMemPool_t pool = nullptr;
    uint64_t all = UINT64_MAX;
    check(cudaDeviceGetDefaultMemPool(&pool, index), "memory pool");
    check(cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &all), "memory pool");
  }
};

// They outlive their threads: handles bound to a stream (linalg/cuda) live as long, and a run makes few threads.
std::mutex streams_mutex;
std::multimap<int, ThreadStream*> idle_streams;
thread_local ThreadStream* current = nullptr;

ThreadStream* take_stream(int gpu) {
  {
    const std::lock_guard lock(streams_mutex);
    if (const auto found = idle_streams.find(gpu); found != idle_streams.end()) {
      ThreadStream* taken = found->second;
      idle_streams.erase(found);
      check(cudaSetDevice(gpu), "set device");
      return taken;
    }
  }
  return new ThreadStream(gpu);
}

cudaMemcpyKind kind_of(Space to, Space from) {
  if (to == Space::Host) return cudaMemcpyDeviceToHost;
  return from == Space::Device ? cudaMemcpyDeviceToDevice : cudaMemcpyHostToDevice;
}

// Room in the small buffer, which must be at most its size.
std::byte* small_for(size_t bytes) {
  if (kSmall - current->small_used < bytes) synchronize();
  std::byte* place = current->small + current->small_used;
  current->small_used += (bytes + 63) / 64 * 64;
  return place;
}

void copy_small(void* to, Space to_space, const void* from, size_t bytes) {
  std::byte* small = small_for(bytes);
  if (to_space == Space::Host) {
    check(cudaMemcpyAsync(small, from, bytes, cudaMemcpyDeviceToHost, stream()), "copy");
    synchronize();
    std::memcpy(to, small, bytes);
  } else {
    std::memcpy(small, from, bytes);
    check(cudaMemcpyAsync(to, small, bytes, cudaMemcpyHostToDevice, stream()), "copy");
  }
}

}  // namespace

void check(cudaError_t status, const char* what) {
  if (status == cudaSuccess) return;
  cudaGetLastError();  // a refused allocation must not be reported again by the next launch
  if (status == cudaErrorMemoryAllocation) throw OutOfMemory();
  fail(ErrorKind::Device, "CUDA", "{}: {}", what, cudaGetErrorString(status));
}

cudaStream_t stream() {
  if (current == nullptr) throw std::logic_error("no GPU entered");
  return current->stream;
}

int gpu() {
  return current->gpu;
}

void synchronize() {
  check(cudaStreamSynchronize(stream()), "synchronize");
  current->small_used = 0;
}

std::vector<Gpu> gpus() {
  // As many queues as there are streams; they share 8 by default. CUDA reads it when it starts, which takes 13 ms
  // longer for each, and 9 ms when it ends.
  [[maybe_unused]] static const int set = setenv("CUDA_DEVICE_MAX_CONNECTIONS", std::to_string(kJobsAtOnce).c_str(), 0);
  int count = 0;
  if (cudaGetDeviceCount(&count) != cudaSuccess) {
    cudaGetLastError();
    return {};
  }
  int version = 0;
  cudaRuntimeGetVersion(&version);
  std::vector<Gpu> found;
  for (int i = 0; i < count; ++i) {
    cudaDeviceProp properties;
    if (cudaGetDeviceProperties(&properties, i) != cudaSuccess) continue;
    found.push_back(
        {i, properties.name, properties.totalGlobalMem, fmt::format("{}.{}", version / 1000, version % 1000 / 10)});
  }
  return found;
}

std::string why_none() {
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  cudaGetLastError();
  return fmt::format("no GPU can be used: {}", status == cudaSuccess ? "CUDA finds none" : cudaGetErrorString(status));
}

size_t available(int gpu) {
  check(cudaSetDevice(gpu), "set device");
  size_t free = 0, total = 0;
  check(cudaMemGetInfo(&free, &total), "memory");
  cudaMemPool_t pool = nullptr;
  uint64_t reserved = 0, used = 0;
  check(cudaDeviceGetDefaultMemPool(&pool, gpu), "memory pool");
  check(cudaMemPoolGetAttribute(pool, cudaMemPoolAttrReservedMemCurrent, &reserved), "memory pool");
  check(cudaMemPoolGetAttribute(pool, cudaMemPoolAttrUsedMemCurrent, &used), "memory pool");
  return free + (reserved - used);
}

Scope::Scope(int gpu) {
  if (current != nullptr) throw std::logic_error("a GPU within a GPU");
  current = take_stream(gpu);
}

Scope::~Scope() {
  cudaStreamSynchronize(current->stream);
  const std::lock_guard lock(streams_mutex);
  idle_streams.emplace(current->gpu, current);
  current = nullptr;
}

Space here() {
  return current == nullptr ? Space::Host : Space::Device;
}

void* allocate(size_t bytes) {
  void* memory = nullptr;
  check(cudaMallocAsync(&memory, std::max<size_t>(bytes, 1), stream()), "allocate");
  return memory;
}

void release(void* memory) {
  if (memory != nullptr) cudaFreeAsync(memory, stream());
}

void copy(void* to, Space to_space, size_t to_pitch, const void* from, Space from_space, size_t from_pitch,
          size_t bytes, size_t columns) {
  if (bytes == 0 || columns == 0) return;
  const bool within_device = to_space == Space::Device && from_space == Space::Device;
  if (columns == 1 && bytes <= kSmall / 4 && !within_device) {
    copy_small(to, to_space, from, bytes);
    return;
  }
  check(cudaMemcpy2DAsync(to, to_pitch, from, from_pitch, bytes, columns, kind_of(to_space, from_space), stream()),
        "copy");
  if (!within_device) synchronize();
}

void upload(void* to, const void* from, size_t bytes) {
  for (size_t begin = 0, i = 0; begin < bytes; begin += kStaging, i ^= 1) {
    const size_t part = std::min(kStaging, bytes - begin);
    check(cudaEventSynchronize(current->sent[i]), "upload");
    std::memcpy(current->staging[i], static_cast<const std::byte*>(from) + begin, part);
    check(cudaMemcpyAsync(static_cast<std::byte*>(to) + begin, current->staging[i], part, cudaMemcpyHostToDevice,
                          stream()),
          "upload");
    check(cudaEventRecord(current->sent[i], stream()), "upload");
  }
}

void clear(void* memory, size_t bytes) {
  if (bytes > 0) check(cudaMemsetAsync(memory, 0, bytes, stream()), "clear");
}

}  // namespace gyro::device
