#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <string>
#include <vector>

namespace gyro {

/// Where memory lies: Device is the memory of the GPU that the thread works on.
enum class Space : uint8_t { Host, Device };

/// GPUs as workers see them: a thread enters one by a Scope; from then on its new matrices lie there and its operations
/// run there, in a stream of their own. cuda/ implements it, no_cuda/ stands in where the build has no CUDA.
namespace device {

struct Gpu {
  int ordinal = 0;      ///< CUDA's number of it
  std::string name;     ///< "NVIDIA H200"
  size_t total = 0;     ///< bytes of memory
  std::string version;  ///< of the CUDA runtime, "13.0"
};
/// Threads worth having on one GPU, to hide one's waiting behind another's work.
inline constexpr int kJobsAtOnce = 16;

/// The GPUs of this machine, in CUDA's order. Empty if there is none or the build has no CUDA.
std::vector<Gpu> gpus();
/// The same; throws Error with why_none() if there is none.
std::vector<Gpu> require_gpus();
/// One line that says why gpus() is empty.
std::string why_none();
/// Bytes that a GPU can still give; includes what this process has set aside for reuse.
size_t available(int ordinal);

/// No memory left on the GPU.
class OutOfMemory : public std::exception {
 public:
  const char* what() const noexcept override { return "the GPU's memory is used up"; }
};

/// While it lives, the calling thread works on a GPU. Matrices made in it must be gone when it ends. Streams and
/// library handles are kept for the next Scope on that GPU. Throws Error if the GPU cannot be used.
class Scope {
 public:
  explicit Scope(int gpu);
  ~Scope();
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;
};
/// Device within a Scope, else Host.
Space here();

/// Memory of this thread's GPU, in the order of its stream. Throws OutOfMemory.
void* allocate(size_t bytes);
void release(void* memory);
/// `columns` stretches of `bytes`, `from_pitch` and `to_pitch` apart, at least one side of them on the GPU. Host memory
/// may be reused on return, and holds the result on return.
void copy(void* to, Space to_space, size_t to_pitch, const void* from, Space from_space, size_t from_pitch,
          size_t bytes, size_t columns);
/// Large host memory (a mapped file, say) to the device, by way of page-locked buffers.
void upload(void* to, const void* from, size_t bytes);
void clear(void* memory, size_t bytes);

}  // namespace device
}  // namespace gyro
