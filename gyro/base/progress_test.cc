#include "gyro/base/progress.h"

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace gyro {
namespace {

TEST(Progress, TellsTheStartTheShareAndTheEnd) {
  std::vector<ProgressState> told;
  {
    Progress progress("matrices", 4, 10, [&](const ProgressState& state) { told.push_back(state); });
    ASSERT_EQ(told.size(), 1u);
    EXPECT_EQ(told[0].items, 4);
    EXPECT_EQ(told[0].share, 0);
    progress.advance(1, 7);
    EXPECT_EQ(told.size(), 1u);  // within a tenth of a second
    std::this_thread::sleep_for(std::chrono::milliseconds(110));
    progress.advance(1, 1);
    ASSERT_EQ(told.size(), 2u);
    EXPECT_EQ(told[1].done, 2);
    EXPECT_DOUBLE_EQ(told[1].share, 0.8);
    EXPECT_GE(told[1].seconds, 0.1);
    EXPECT_FALSE(told[1].ended);
    progress.advance(2, 2);
  }
  ASSERT_EQ(told.size(), 3u);
  EXPECT_TRUE(told[2].ended);
  EXPECT_EQ(told[2].done, 4);
  EXPECT_EQ(told[2].share, 1);
}

TEST(Progress, TellsOnceASecondWhatHasNotChanged) {
  std::vector<ProgressState> told;
  std::vector<std::string> items;
  {
    Progress progress("matrices", 4, 10, [&](const ProgressState& state) {
      told.push_back(state);
      items.emplace_back(state.item);
    });
    progress.begin("0.W_Q");
    std::this_thread::sleep_for(std::chrono::milliseconds(1300));
  }
  ASSERT_GE(told.size(), 3u);
  EXPECT_GE(told[1].seconds, 1);
  EXPECT_EQ(told[1].done, 0);
  EXPECT_EQ(items[0], "");
  EXPECT_EQ(items[1], "0.W_Q");
}

TEST(Progress, WithoutASinkOrWork) {
  Progress("nothing", 0, 0, nullptr).advance(1, 1);
  double share = -1;
  {
    const Progress progress("nothing", 0, 0, [&](const ProgressState& state) { share = state.share; });
  }
  EXPECT_EQ(share, 0);
}

TEST(Progress, ASinkThatThrowsIsHeardOnceAndNotAtTheEnd) {
  const auto fail_at_start = [] { Progress("x", 1, 1, [](const ProgressState&) { throw std::runtime_error("no"); }); };
  EXPECT_THROW(fail_at_start(), std::runtime_error);
  EXPECT_NO_THROW(Progress("x", 1, 1, [](const ProgressState& state) {
    if (state.ended) throw std::runtime_error("no");
  }));
}

}  // namespace
}  // namespace gyro
