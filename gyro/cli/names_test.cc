#include "gyro/cli/names.h"

#include <gtest/gtest.h>

namespace gyro {
namespace {

using Names = std::vector<std::string>;

TEST(DistinctNames, LastPartsWithThoseAboveWhereTheyAreNeeded) {
  EXPECT_EQ(distinct_names({"zoo/qwen2/instruct", "rl/", "./x"}, 24), (Names{"instruct", "rl", "x"}));
  EXPECT_EQ(distinct_names({"a/instruct", "b/instruct", "c"}, 24), (Names{"a/instruct", "b/instruct", "c"}));
  EXPECT_EQ(distinct_names({"p/a/x", "q/a/x", "r/b/x"}, 24), (Names{"p/a/x", "q/a/x", "b/x"}));
  EXPECT_EQ(distinct_names({"x", "a/x"}, 24), (Names{"x", "a/x"}));
  EXPECT_EQ(distinct_names({"same", "same", "", "/", "a\nb"}, 24), (Names{"same", "same", "", "/", "a?b"}));
}

TEST(DistinctNames, AreCutInTheMiddle) {
  EXPECT_EQ(distinct_names({"Qwen/Qwen2.5-Math-1.5B-Instruct", "Qwen/Qwen2.5-Math-1.5B"}, 16),
            (Names{"Qwen2.5..nstruct", "Qwen2.5..th-1.5B"}));
  // Equal at both ends.
  const Names names = distinct_names({"aaaaaaaaaa-one-bbbbbbbbbb", "aaaaaaaaaa-two-bbbbbbbbbb"}, 16);
  EXPECT_NE(names[0], names[1]);
  EXPECT_EQ(distinct_names({"αβγδεζηθικ"}, 6), (Names{"αβ..ικ"}));
}

TEST(DidYouMean, TheNearestIfItIsNear) {
  const Names commands = {"diff", "report", "build", "init", "lora"};
  EXPECT_EQ(did_you_mean("dif", commands), "diff");
  EXPECT_EQ(did_you_mean("biuld", commands), "build");
  EXPECT_EQ(did_you_mean("rep", commands), "report");
  EXPECT_EQ(did_you_mean("--ouput", {"--out", "--output"}), "--output");
  EXPECT_EQ(did_you_mean("frobnicate", commands), "");
  EXPECT_EQ(did_you_mean("", commands), "");
  EXPECT_EQ(did_you_mean("x", {}), "");
}

}  // namespace
}  // namespace gyro
