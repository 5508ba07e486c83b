#include "gyro/cli/progress.h"

#include <gtest/gtest.h>

#include "gyro/base/utf8.h"

namespace gyro {
namespace {

const ProgressState kState = {
    .noun = "matrices", .done = 3, .items = 12, .share = 0.25, .seconds = 40, .ended = false, .item = "3.W_down"};

TEST(ProgressLine, SaysWhatIsWorkedOnHowLongAndHowLongStill) {
  EXPECT_EQ(progress_line(kState, 100),
            "[######..................]  3/12 matrices  2 min 00 s left  40 s so far  3.W_down");
}

TEST(ProgressLine, FitsAnyWidthAndLeavesOutWhatMattersLeast) {
  for (size_t width = 1; width < 120; ++width) EXPECT_LE(columns_of(progress_line(kState, width)), width);
  EXPECT_EQ(progress_line(kState, 50), "3/12 matrices  2 min 00 s left  40 s so far");
  EXPECT_EQ(progress_line(kState, 32), "3/12 matrices  2 min 00 s left");
  EXPECT_EQ(progress_line(kState, 14), "3/12 matrices");
}

TEST(ProgressLine, PromisesNothingAtFirst) {
  EXPECT_EQ(progress_line({.noun = "tensors", .items = 5, .item = ""}, 60),
            "[........................]  0/5 tensors  0 s so far");
}

TEST(FormatDuration, InTheUnitsThatMatter) {
  EXPECT_EQ(format_duration(0.4), "0 s");
  EXPECT_EQ(format_duration(187), "3 min 07 s");
  EXPECT_EQ(format_duration(7500), "2 h 05 min");
}

}  // namespace
}  // namespace gyro
