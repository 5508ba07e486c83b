#include "gyro/tensor/matrix.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <new>
#include <stdexcept>
#include <vector>

namespace gyro {
namespace {

constexpr size_t kHugePage = size_t{2} << 20;
constexpr size_t kCacheLine = 64;
constexpr size_t kLarge = 2 * kHugePage;

// Freed large blocks of this thread, oldest first; the oldest goes when there are too many, so that sizes no longer in
// use do not pile up.
class Spares {
 public:
  ~Spares() {
    for (const Block& block : blocks_) std::free(block.data);
  }

  double* take(size_t bytes) {
    for (auto block = blocks_.begin(); block != blocks_.end(); ++block) {
      if (block->bytes != bytes) continue;
      double* data = block->data;
      blocks_.erase(block);
      return data;
    }
    return nullptr;
  }
  void keep(double* data, size_t bytes) {
    if (blocks_.size() == kCapacity) {
      std::free(blocks_.front().data);
      blocks_.erase(blocks_.begin());
    }
    blocks_.push_back({data, bytes});
  }

 private:
  static constexpr size_t kCapacity = 10;  // as many as one comparison has live at once
  struct Block {
    double* data;
    size_t bytes;
  };
  std::vector<Block> blocks_;
};

thread_local Spares spares;

}  // namespace

double* allocate_doubles(int64_t count) {
  const size_t bytes = sizeof(double) * static_cast<size_t>(count);
  const bool large = bytes >= kLarge;
  if (double* spare = large ? spares.take(bytes) : nullptr) return spare;
  const size_t alignment = large ? kHugePage : kCacheLine;
  void* memory = std::aligned_alloc(alignment, (bytes + alignment) / alignment * alignment);
  if (memory == nullptr) throw std::bad_alloc();
  if (large) madvise(memory, bytes, MADV_HUGEPAGE);  // a refusal costs speed only
  return static_cast<double*>(memory);
}

void free_doubles(double* data, int64_t count) {
  const size_t bytes = sizeof(double) * static_cast<size_t>(count);
  if (bytes >= kLarge) {
    spares.keep(data, bytes);
  } else {
    std::free(data);
  }
}

void copy(ConstMatrixView from, MatrixView to) {
  if (from.rows != to.rows || from.cols != to.cols) throw std::logic_error("copy: shapes differ");
  if (from.space == Space::Host && to.space == Space::Host) {
    for (int64_t j = 0; j < from.cols; ++j) std::copy_n(from.col(j), from.rows, to.col(j));
    return;
  }
  device::copy(to.data, to.space, sizeof(double) * static_cast<size_t>(to.ld), from.data, from.space,
               sizeof(double) * static_cast<size_t>(from.ld), sizeof(double) * static_cast<size_t>(from.rows),
               static_cast<size_t>(from.cols));
}

}  // namespace gyro
