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
  int workers() const { return static_cast<int>(budgets_.size()) * kJobsAtOnce; }

  /// Runs `job` on the GPU with most memory to spare, once that is `bytes`; a job too large for any GPU, or one that
  /// runs out of memory, has a GPU to itself. Throws Error(subject, ...) if it still does not fit.
  void run(const std::string& subject, size_t bytes, const std::function<void()>& job);

 private:
  struct Budget {
    int gpu = 0;
    size_t memory = 0, spare = 0;
  };
  Budget& take(size_t bytes);
  void give(Budget& budget, size_t bytes);
  bool attempt(size_t bytes, const std::function<void()>& job);

  std::vector<Budget> budgets_;
  std::mutex mutex_;
  std::condition_variable freed_;
};

/// Where the jobs of a run are computed: on this machine's GPUs, or on the threads that bring them, as many at once as
/// memory has room for. Thread-safe.
class Workers {
 public:
  /// `threads` 0: as many as keep the GPUs, or the processors, busy. `memory`: bytes of host memory that jobs on the
  /// processors may take together; 0: 80 % of what the process may still take now (process_limits). Throws Error if
  /// `cuda` and there is no GPU.
  Workers(bool cuda, int threads, size_t memory);
  /// Threads that should bring jobs.
  int count() const { return count_; }
  /// Where jobs will find their operands.
  Space space() const { return gpus_ ? Space::Device : Space::Host; }
  /// Runs `job`, which needs `bytes` of memory in space(); it may be run a second time on a GPU (Pool::run). On the
  /// processors it waits, helping its team, until the jobs that run leave it room; one too large has all to itself.
  void run(const std::string& subject, size_t bytes, const std::function<void()>& job);

 private:
  void run_on_host(size_t bytes, const std::function<void()>& job);

  std::optional<Pool> gpus_;
  int count_ = 0;
  size_t memory_ = 0, used_ = 0;  // of the host; used_ is under the team's lock
};

}  // namespace gyro::device
