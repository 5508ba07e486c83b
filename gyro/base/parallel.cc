#include "gyro/base/parallel.h"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>

namespace gyro {
namespace {

// Runs `work` on so many threads, this one included, and returns when all have ended.
void on_threads(int threads, const std::function<void()>& work) {
  std::vector<std::jthread> others;
  for (int t = 1; t < threads; ++t) others.emplace_back(work);
  work();
}

// The state of one ordered_parallel. Each thread runs work(); everything but the callbacks is under the mutex.
class OrderedRun {
 public:
  OrderedRun(int count, int window, const std::function<void(int)>& produce, const std::function<void(int)>& consume,
             const std::function<bool()>& stop)
      : count_(count), produce_(produce), consume_(consume), stop_(stop), finished_(static_cast<size_t>(window)) {}

  void work() {
    std::unique_lock lock(mutex_);
    while (!ended_ && consumed_ < count_) {
      if (!consuming_ && finished(consumed_)) {
        consume_next(lock);
      } else if (begun_ < std::min(count_, consumed_ + static_cast<int>(finished_.size()))) {
        produce_next(lock);
      } else {
        changed_.wait(lock);
      }
    }
  }

  // Once all threads have left work(): whether all was done. Throws what a callback threw.
  bool outcome() const {
    if (error_) std::rethrow_exception(error_);
    return consumed_ == count_;
  }

 private:
  std::vector<bool>::reference finished(int i) { return finished_[static_cast<size_t>(i) % finished_.size()]; }

  // Calls a callback without the lock; false if it threw.
  bool call(std::unique_lock<std::mutex>& lock, const std::function<void()>& callback) {
    std::exception_ptr error;
    lock.unlock();
    try {
      callback();
    } catch (...) {
      error = std::current_exception();
    }
    lock.lock();
    if (!error) return true;
    if (!error_) error_ = error;
    end();
    return false;
  }

  void consume_next(std::unique_lock<std::mutex>& lock) {
    const int i = consumed_;
    consuming_ = true;
    const bool done = call(lock, [&] { consume_(i); });
    consuming_ = false;
    if (!done) return;
    finished(i) = false;
    ++consumed_;
    changed_.notify_all();
  }

  // No notice is needed afterwards: this thread looks next whether something is due to be consumed.
  void produce_next(std::unique_lock<std::mutex>& lock) {
    const int i = begun_++;
    bool stopped = false;
    const bool done = call(lock, [&] {
      stopped = stop_ && stop_();
      if (!stopped) produce_(i);
    });
    if (stopped) return end();
    if (done) finished(i) = true;
  }

  void end() {
    ended_ = true;
    changed_.notify_all();
  }

  const int count_;
  const std::function<void(int)>& produce_;
  const std::function<void(int)>& consume_;
  const std::function<bool()>& stop_;
  std::mutex mutex_;
  std::condition_variable changed_;  // there is a new place, or the run ends
  int begun_ = 0, consumed_ = 0;
  bool consuming_ = false, ended_ = false;
  std::vector<bool> finished_;  // by place: produced and not yet consumed
  std::exception_ptr error_;
};

}  // namespace

bool parallel_for(int count, int threads, const std::function<void(int)>& job, const std::function<bool()>& stop) {
  std::atomic<int> next = 0, done = 0;
  std::atomic<bool> ended = false;
  std::exception_ptr error;
  std::mutex mutex;
  on_threads(std::min(threads, count), [&] {
    try {
      while (!ended) {
        if (stop && stop()) ended = true;
        if (ended) return;
        const int i = next++;
        if (i >= count) return;
        job(i);
        ++done;
      }
    } catch (...) {
      const std::lock_guard lock(mutex);
      if (!error) error = std::current_exception();
      ended = true;
    }
  });
  if (error) std::rethrow_exception(error);
  return done == count;
}

int ordered_window(int threads) {
  const int at_once = std::max(threads, 1);
  return at_once + at_once / 2 + 1;
}

bool ordered_parallel_places(int count, int threads, const std::function<void(int)>& produce,
                             const std::function<void(int)>& consume, const std::function<bool()>& stop) {
  OrderedRun run(count, ordered_window(threads), produce, consume, stop);
  on_threads(std::min(threads, count), [&] { run.work(); });
  return run.outcome();
}

int available_processors() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) != 0) return std::max(1u, std::thread::hardware_concurrency());
  return std::max(1, CPU_COUNT(&set));
}

}  // namespace gyro
