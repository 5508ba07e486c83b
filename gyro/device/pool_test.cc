#include "gyro/device/pool.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <vector>

#include "gyro/base/parallel.h"
#include "gyro/base/team.h"

namespace gyro::device {
namespace {

// Runs a job of each size on `threads` threads with room for `memory` bytes; the most bytes that were in use at once.
size_t most_at_once(const std::vector<size_t>& sizes, int threads, size_t memory) {
  Workers workers(false, threads, memory);
  std::mutex mutex;
  size_t used = 0, most = 0;
  const bool all = parallel_for(static_cast<int>(sizes.size()), threads, [&](int i) {
    const size_t bytes = sizes[static_cast<size_t>(i)];
    workers.run("job", bytes, [&] {
      {
        const std::lock_guard lock(mutex);
        used += bytes;
        most = std::max(most, used);
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
      const std::lock_guard lock(mutex);
      used -= bytes;
    });
  });
  EXPECT_TRUE(all);
  return most;
}

TEST(Workers, JobsWaitForMemory) {
  EXPECT_LE(most_at_once(std::vector<size_t>(40, 30), 8, 100), 90u);
  EXPECT_LE(most_at_once({10, 90, 50, 20, 70, 60, 10, 40, 80, 30}, 4, 100), 100u);
}

TEST(Workers, AJobTooLargeRunsAlone) {
  EXPECT_EQ(most_at_once({10, 500, 10, 10, 500, 10}, 4, 100), 500u);
}

TEST(Workers, ThreadsThatWaitForMemoryHelp) {
  Workers workers(false, 3, 100);
  std::atomic<int> at_once = 0;
  parallel_for(3, 3, [&](int) {
    workers.run("job", 100, [&] {
      // All three threads are in this one job's parts before any part ends.
      at_once = 0;
      while (threads_to_share() < 3) std::this_thread::yield();
      share(3, [&](int) {
        ++at_once;
        while (at_once < 3) std::this_thread::yield();
      });
    });
  });
  EXPECT_EQ(at_once, 3);
}

TEST(Workers, AJobThatThrowsGivesItsMemoryBack) {
  Workers workers(false, 2, 100);
  const auto run = [&] {
    parallel_for(1, 2, [&](int) { workers.run("job", 100, [] { throw std::runtime_error("bad"); }); });
  };
  EXPECT_THROW(run(), std::runtime_error);
  EXPECT_THROW(run(), std::runtime_error);
}

TEST(Workers, CountAndSpace) {
  EXPECT_EQ(Workers(false, 5, 1).count(), 5);
  EXPECT_GE(Workers(false, 0, 0).count(), 1);
  EXPECT_EQ(Workers(false, 1, 1).space(), Space::Host);
}

}  // namespace
}  // namespace gyro::device
