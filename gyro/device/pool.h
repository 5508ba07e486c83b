#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <vector>

#include "gyro/device/device.h"

namespace gyro::device {

/// The GPUs of a run, and what of their memory is spoken for. Jobs say what they will need and wait until a GPU has it:
/// many at once on a large GPU, few on a small one. Thread-safe.
class Pool {
 public:
  /// Of at least one GPU.
  explicit Pool(const std::vector<Gpu>& gpus);
  /// Jobs worth having at once: enough to hide one's waiting behind another's work.
  int workers() const { return static_cast<int>(seats_.size()) * kJobsAtOnce; }

  /// Runs `job` on the GPU with most memory to spare, once that is `bytes`; a job too large for any GPU, or one that
  /// runs out of memory, has a GPU to itself. Throws Error(subject, ...) if it still does not fit.
  void run(const std::string& subject, size_t bytes, const std::function<void()>& job);

 private:
  struct Seat {
    int gpu = 0;
    size_t memory = 0, spare = 0;
  };
  Seat& take(size_t bytes);
  void give(Seat& seat, size_t bytes);
  bool attempt(size_t bytes, const std::function<void()>& job);

  std::vector<Seat> seats_;
  std::mutex mutex_;
  std::condition_variable freed_;
};

/// Where the jobs of a run are computed: on this machine's GPUs, or on the threads that bring them. Thread-safe.
class Workers {
 public:
  /// `threads` 0: as many as keep the GPUs, or the processors, busy. Throws Error if `cuda` and there is no GPU.
  Workers(bool cuda, int threads);
  /// Threads that should bring jobs.
  int count() const { return count_; }
  /// Runs `job`, which needs `bytes` of a GPU's memory; it may be run a second time there (Pool::run).
  void run(const std::string& subject, size_t bytes, const std::function<void()>& job);

 private:
  std::optional<Pool> gpus_;
  int count_ = 0;
};

}  // namespace gyro::device
