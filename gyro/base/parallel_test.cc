#include "gyro/base/parallel.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gyro/base/team.h"

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
void expect_started_in_order(const std::vector<int>& started, size_t count, int threads) {
  ASSERT_EQ(started.size(), count);
  for (size_t at = 0; at < started.size(); ++at) {
    const auto before = std::count_if(started.begin(), started.begin() + static_cast<std::ptrdiff_t>(at),
                                      [&](int other) { return other < started[at]; });
    EXPECT_GE(before, started[at] - (threads - 1));
  }
}

TEST(ParallelFor, StartsInOrder) {
  constexpr int kThreads = 4;
  std::mutex mutex;
  std::vector<int> started;
  parallel_for(200, kThreads, [&](int i) {
    const std::lock_guard lock(mutex);
    started.push_back(i);
  });
  expect_started_in_order(started, 200, kThreads);
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

TEST(ParallelFor, ThrowsWhatStopThrows) {
  for (const int threads : {1, 4}) {
    std::atomic<int> asked = 0, ran = 0;
    const auto stop = [&]() -> bool {
      if (++asked > 5) throw std::runtime_error("stop");
      return false;
    };
    EXPECT_THROW(parallel_for(
                     100, threads, [&](int) { ++ran; }, stop),
                 std::runtime_error);
    EXPECT_EQ(ran, 5) << threads << " threads";
  }
}

// A job that would go on for ever but for check_stop; `stop` says yes once all threads are at one.
template <typename Run>
void stop_in_the_middle(int threads, const Run& run) {
  std::atomic<int> working = 0, ended = 0;
  const auto job = [&](int) {
    struct End {
      std::atomic<int>& ended;
      ~End() { ++ended; }
    } end{ended};
    ++working;
    while (true) check_stop();
    return 0;
  };
  EXPECT_FALSE(run(job, [&] { return working == threads; }));
  EXPECT_EQ(ended, threads);
}

TEST(ParallelFor, StopsInTheMiddleOfJobs) {
  for (const int threads : {1, 4}) {
    stop_in_the_middle(threads, [&](const auto& job, const std::function<bool()>& stop) {
      return parallel_for(100, threads, job, stop);
    });
  }
}

TEST(ParallelFor, AnErrorEndsTheOthersInTheMiddle) {
  std::atomic<int> working = 0;
  const auto job = [&](int i) {
    ++working;
    while (i != 0 || working < 3) check_stop();
    throw std::runtime_error("of the first");
  };
  EXPECT_THROW(parallel_for(3, 3, job), std::runtime_error);
}

TEST(ParallelFor, ThrowsWhatStopThrowsInTheMiddle) {
  std::atomic<bool> working = false;
  const auto job = [&](int) {
    working = true;
    while (true) check_stop();
  };
  const auto stop = [&]() -> bool {
    if (working) throw std::domain_error("stop");
    return false;
  };
  EXPECT_THROW(parallel_for(3, 1, job, stop), std::domain_error);
}

TEST(OrderedParallel, StopsInTheMiddleOfJobs) {
  for (const int threads : {1, 4}) {
    stop_in_the_middle(threads, [&](const auto& job, const std::function<bool()>& stop) {
      return ordered_parallel(
          100, threads, job, [](int, int) {}, stop);
    });
  }
}

TEST(OrderedParallel, ConsumesEachResultInOrder) {
  for (const int threads : {-1, 0, 1, 2, 5, 64}) {
    for (const int count : {0, 1, 2, 37, 500}) {
      std::vector<int> consumed;
      EXPECT_TRUE(ordered_parallel(
          count, threads, [](int i) { return std::make_unique<int>(3 * i); },
          [&](int i, std::unique_ptr<int> result) {
            EXPECT_EQ(*result, 3 * i);
            consumed.push_back(i);
          }));
      ASSERT_EQ(consumed.size(), static_cast<size_t>(count)) << threads << " threads";
      for (int i = 0; i < count; ++i) EXPECT_EQ(consumed[static_cast<size_t>(i)], i);
    }
  }
}

TEST(OrderedParallel, OneThreadTakesTurns) {
  std::string calls;
  ordered_parallel(
      3, 1,
      [&](int) {
        calls += 'p';
        return 0;
      },
      [&](int, int) { calls += 'c'; });
  EXPECT_EQ(calls, "pcpcpc");
}

TEST(OrderedParallel, StartsInOrder) {
  constexpr int kThreads = 4;
  std::mutex mutex;
  std::vector<int> started;
  ordered_parallel(
      200, kThreads,
      [&](int i) {
        const std::lock_guard lock(mutex);
        started.push_back(i);
        return i;
      },
      [](int, int) {});
  expect_started_in_order(started, 200, kThreads);
}

TEST(OrderedParallel, ConsumesOneAtATimeBesideProducing) {
  std::atomic<int> consuming = 0, begun = 0;
  ordered_parallel(
      100, 3,
      [&](int i) {
        ++begun;
        return i;
      },
      [&](int i, int) {
        EXPECT_EQ(++consuming, 1);
        // Item 0 is not done with until others were begun: with a barrier or with producing shut out, this would hang.
        while (i == 0 && begun < ordered_window(3)) std::this_thread::yield();
        --consuming;
      });
}

TEST(OrderedParallel, WindowIsMoreThanTheThreadsAndAtMostTwice) {
  for (const int threads : {1, 2, 3, 16, 128}) {
    EXPECT_GT(ordered_window(threads), threads);
    EXPECT_LE(ordered_window(threads), 2 * threads);
  }
  EXPECT_EQ(ordered_window(0), ordered_window(1));
}

// Item 0 takes until the others have come as far as they may.
TEST(OrderedParallel, HoldsNoMoreResultsThanTheWindow) {
  constexpr int kThreads = 3;
  const int window = ordered_window(kThreads);
  std::atomic<int> held = 0, most = 0;
  struct Held {
    explicit Held(std::atomic<int>& counter) : count(&counter) { ++*count; }
    Held(Held&& other) noexcept : count(std::exchange(other.count, nullptr)) {}
    Held(const Held&) = delete;
    Held& operator=(const Held&) = delete;
    ~Held() {
      if (count != nullptr) --*count;
    }
    std::atomic<int>* count;
  };
  ordered_parallel(
      50, kThreads,
      [&](int i) {
        Held result(held);
        int seen = most;
        while (seen < held && !most.compare_exchange_weak(seen, held)) {
        }
        if (i == 0) {
          while (held < window) std::this_thread::yield();
          std::this_thread::sleep_for(std::chrono::milliseconds(20));
        }
        return result;
      },
      [](int, Held) {});
  EXPECT_EQ(most, window);
  EXPECT_EQ(held, 0);
}

struct CountedThread {
  static inline std::atomic<int> made = 0;
  CountedThread() { ++made; }
  void touch() {}
};

TEST(OrderedParallel, ThreadsLast) {
  CountedThread::made = 0;
  ordered_parallel(
      100, 3,
      [](int i) {
        thread_local CountedThread counted;
        counted.touch();
        return i;
      },
      [](int, int) {});
  EXPECT_GE(CountedThread::made, 1);
  EXPECT_LE(CountedThread::made, 3);
}

TEST(OrderedParallel, ThrowsWhatProduceThrows) {
  for (const int threads : {1, 4}) {
    std::vector<int> consumed;
    std::atomic<int> begun = 0;
    const auto produce = [&](int i) {
      ++begun;
      if (i == 7) throw std::runtime_error("seven");
      return i;
    };
    EXPECT_THROW(ordered_parallel(100, threads, produce, [&](int i, int) { consumed.push_back(i); }),
                 std::runtime_error);
    EXPECT_LE(begun, 7 + ordered_window(threads));
    EXPECT_LE(consumed.size(), 7u);
    for (size_t i = 0; i < consumed.size(); ++i) EXPECT_EQ(consumed[i], static_cast<int>(i));
  }
}

TEST(OrderedParallel, ThrowsWhatConsumeThrows) {
  for (const int threads : {1, 4}) {
    int consumed = 0;
    std::atomic<int> begun = 0;
    const auto produce = [&](int i) {
      ++begun;
      return i;
    };
    const auto consume = [&](int i, int) {
      if (i == 5) throw std::runtime_error("five");
      ++consumed;
    };
    EXPECT_THROW(ordered_parallel(100, threads, produce, consume), std::runtime_error);
    EXPECT_EQ(consumed, 5);
    EXPECT_LE(begun, 5 + ordered_window(threads));
  }
}

TEST(OrderedParallel, ThrowsWhatStopThrows) {
  for (const int threads : {1, 4}) {
    std::atomic<int> asked = 0, begun = 0;
    const auto produce = [&](int i) {
      ++begun;
      return i;
    };
    const auto stop = [&]() -> bool {
      if (++asked > 5) throw std::runtime_error("stop");
      return false;
    };
    EXPECT_THROW(ordered_parallel(
                     100, threads, produce, [](int, int) {}, stop),
                 std::runtime_error);
    EXPECT_EQ(begun, 5);
  }
}

TEST(OrderedParallel, WaitsForRunningCallsBeforeItThrows) {
  std::atomic<bool> thrown = false, finished = false;
  const auto produce = [&](int i) {
    if (i == 0) {
      while (!thrown) std::this_thread::yield();
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      finished = true;
    } else {
      thrown = true;
      throw std::runtime_error("item 1");
    }
    return i;
  };
  EXPECT_THROW(ordered_parallel(2, 2, produce, [](int, int) { ADD_FAILURE() << "consumed"; }), std::runtime_error);
  EXPECT_TRUE(finished);
}

TEST(OrderedParallel, StopIsAskedBeforeEachStart) {
  int begun = 0, consumed = 0;
  const auto produce = [&](int i) {
    ++begun;
    return i;
  };
  EXPECT_FALSE(ordered_parallel(
      10, 1, produce, [&](int, int) { ++consumed; }, [&] { return begun == 4; }));
  EXPECT_EQ(begun, 4);
  EXPECT_EQ(consumed, 4);
  EXPECT_FALSE(ordered_parallel(
      10, 3, produce, [](int, int) { ADD_FAILURE() << "consumed"; }, [] { return true; }));
  EXPECT_EQ(begun, 4);
}

}  // namespace
}  // namespace gyro
