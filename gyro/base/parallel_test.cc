#include "gyro/base/parallel.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <vector>

namespace gyro {
namespace {

TEST(ParallelFor, RunsEveryJobOnce) {
  for (const int threads : {-1, 0, 1, 2, 5, 64}) {
    for (const int count : {0, 1, 2, 37}) {
      std::vector<std::atomic<int>> runs(static_cast<size_t>(count));
      EXPECT_TRUE(parallel_for(count, threads, [&](int i) { ++runs[static_cast<size_t>(i)]; }));
      for (const auto& r : runs) EXPECT_EQ(r, 1) << threads << " threads, " << count << " jobs";
    }
  }
}

TEST(ParallelFor, OneThreadRunsInOrder) {
  std::vector<int> order;
  parallel_for(5, 1, [&](int i) { order.push_back(i); });
  EXPECT_EQ(order, (std::vector<int>{0, 1, 2, 3, 4}));
}

// Job i may start only after jobs 0 ... i-1 were taken; with T threads at most T - 1 others run at that moment.
TEST(ParallelFor, StartsInOrder) {
  constexpr int kThreads = 4;
  std::mutex mutex;
  std::vector<int> started;
  parallel_for(200, kThreads, [&](int i) {
    const std::lock_guard lock(mutex);
    started.push_back(i);
  });
  ASSERT_EQ(started.size(), 200u);
  for (size_t at = 0; at < started.size(); ++at) {
    const auto before = std::count_if(started.begin(), started.begin() + static_cast<std::ptrdiff_t>(at),
                                      [&](int other) { return other < started[at]; });
    EXPECT_GE(before, started[at] - (kThreads - 1));
  }
}

TEST(ParallelFor, UsesTheThreadsItIsGiven) {
  std::atomic<int> waiting = 0;
  // Each job waits for the other two: this returns only if three run at once.
  EXPECT_TRUE(parallel_for(3, 3, [&](int) {
    ++waiting;
    while (waiting < 3) std::this_thread::yield();
  }));
}

TEST(ParallelFor, ThrowsTheFirstExceptionAndStartsNoMore) {
  int ran = 0;
  try {
    parallel_for(10, 1, [&](int i) {
      ++ran;
      if (i >= 3) throw std::runtime_error(std::to_string(i));
    });
    FAIL() << "no exception";
  } catch (const std::runtime_error& error) {
    EXPECT_STREQ(error.what(), "3");
  }
  EXPECT_EQ(ran, 4);
}

TEST(ParallelFor, WaitsForRunningJobsBeforeItThrows) {
  std::atomic<bool> thrown = false, finished = false;
  EXPECT_THROW(parallel_for(2, 2,
                            [&](int i) {
                              if (i == 0) {
                                while (!thrown) std::this_thread::yield();
                                std::this_thread::sleep_for(std::chrono::milliseconds(20));
                                finished = true;
                              } else {
                                thrown = true;
                                throw std::runtime_error("job 1");
                              }
                            }),
               std::runtime_error);
  EXPECT_TRUE(finished);
}

TEST(ParallelFor, StopIsAskedBeforeEachStart) {
  int ran = 0;
  EXPECT_FALSE(parallel_for(
      10, 1, [&](int) { ++ran; }, [&] { return ran == 4; }));
  EXPECT_EQ(ran, 4);
  EXPECT_FALSE(parallel_for(
      10, 3, [&](int) { ADD_FAILURE() << "started"; }, [] { return true; }));
}

TEST(AvailableProcessors, IsPositive) {
  EXPECT_GE(available_processors(), 1);
}

}  // namespace
}  // namespace gyro
