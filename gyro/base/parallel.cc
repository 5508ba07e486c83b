#include "gyro/base/parallel.h"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace gyro {

bool parallel_for(int count, int threads, const std::function<void(int)>& job, const std::function<bool()>& stop) {
  std::atomic<int> next = 0, done = 0;
  std::atomic<bool> ended = false;
  std::exception_ptr error;
  std::mutex mutex;
  auto work = [&] {
    while (!ended) {
      if (stop && stop()) ended = true;
      if (ended) return;
      const int i = next++;
      if (i >= count) return;
      try {
        job(i);
        ++done;
      } catch (...) {
        const std::lock_guard lock(mutex);
        if (!error) error = std::current_exception();
        ended = true;
      }
    }
  };
  std::vector<std::jthread> workers;
  for (int t = 1; t < std::min(threads, count); ++t) workers.emplace_back(work);
  work();
  workers.clear();
  if (error) std::rethrow_exception(error);
  return done == count;
}

int available_processors() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) != 0) return std::max(1u, std::thread::hardware_concurrency());
  return std::max(1, CPU_COUNT(&set));
}

}  // namespace gyro
