#include "gyro/base/team.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "gyro/base/parallel.h"

namespace gyro {
namespace {

using namespace std::chrono_literals;

// Waits until `condition` holds; false after half a minute.
template <typename Condition>
bool eventually(Condition condition) {
  const auto end = std::chrono::steady_clock::now() + 30s;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::yield();
  }
  return true;
}

TEST(Team, WithoutOnePartsRunInOrder) {
  std::vector<int> order;
  share(4, [&](int part) { order.push_back(part); });
  EXPECT_EQ(order, (std::vector<int>{0, 1, 2, 3}));
  EXPECT_EQ(threads_to_share(), 1);
}

TEST(Team, ThreadsWithoutJobsTakeParts) {
  std::mutex mutex;
  std::set<std::thread::id> threads;
  std::vector<std::atomic<int>> runs(40);
  parallel_for(1, 4, [&](int) {
    ASSERT_TRUE(eventually([] { return threads_to_share() == 4; }));
    share(40, [&](int part) {
      ++runs[static_cast<size_t>(part)];
      {
        const std::lock_guard lock(mutex);
        threads.insert(std::this_thread::get_id());
      }
      // No part ends before all threads have one: a thread that did not help would hang the test.
      EXPECT_TRUE(eventually([&] {
        const std::lock_guard lock(mutex);
        return threads.size() == 4;
      }));
    });
  });
  EXPECT_EQ(threads.size(), 4u);
  for (const auto& count : runs) EXPECT_EQ(count, 1);
}

TEST(Team, ManySharesOneAfterTheOther) {
  std::atomic<int64_t> sum = 0;
  parallel_for(3, 4, [&](int job) {
    for (int round = 0; round < 2000; ++round) share(1 + round % 7, [&](int part) { sum += job + part; });
  });
  int64_t expected = 0;
  for (int round = 0; round < 2000; ++round) {
    for (int part = 0; part <= round % 7; ++part) expected += 3 * part + 3;
  }
  EXPECT_EQ(sum, expected);
}

TEST(Team, SharesMayShare) {
  std::atomic<int> runs = 0;
  parallel_for(1, 4, [&](int) { share(8, [&](int) { share(8, [&](int) { ++runs; }); }); });
  EXPECT_EQ(runs, 64);
}

TEST(Team, APartThatThrowsEndsTheJob) {
  const auto run = [](int threads) {
    parallel_for(1, threads, [&](int) {
      ASSERT_TRUE(eventually([&] { return threads_to_share() == threads; }));
      share(16, [](int part) {
        if (part == 7) throw std::runtime_error("part 7");
      });
    });
  };
  for (const int threads : {1, 3}) {
    EXPECT_THROW(run(threads), std::runtime_error);
  }
}

TEST(Team, WaitersOfAnOrderedRunHelp) {
  std::atomic<int> helped = 0;
  const auto produce = [&](int i) {
    if (i == 0) {
      EXPECT_TRUE(eventually([] { return threads_to_share() == 3; }));
      share(3, [&](int) {
        ++helped;
        EXPECT_TRUE(eventually([&] { return helped == 3; }));
      });
    }
    return i;
  };
  EXPECT_TRUE(ordered_parallel(2, 3, produce, [](int, int) {}));
  EXPECT_EQ(helped, 3);
}

}  // namespace
}  // namespace gyro
