#include "gyro/eval/csv.h"

#include <gtest/gtest.h>

#include "gyro/base/test_util.h"

namespace gyro {
namespace {

using Records = std::vector<std::vector<std::string>>;

TEST(ReadCsv, ReadsFields) {
  EXPECT_EQ(read_csv("f", "a,b\r\n1,\n"), (Records{{"a", "b"}, {"1", ""}}));
  EXPECT_EQ(read_csv("f", "\xef\xbb\xbfx"), (Records{{"x"}}));
  EXPECT_EQ(read_csv("f", "\"a,\"\"b\"\"\nc\",d\n\n,e"), (Records{{"a,\"b\"\nc", "d"}, {"", "e"}}));
  EXPECT_EQ(read_csv("f", "say \"hi\",2"), (Records{{"say \"hi\"", "2"}})) << "quotes within a plain field";
  EXPECT_TRUE(read_csv("f", "").empty());
  EXPECT_TRUE(read_csv("f", "\n\r\n\n").empty());
}

TEST(ReadCsv, SaysWhereItIsMalformed) {
  EXPECT_EQ(error_of([] { read_csv("f.csv", "a\n\"b\nc"); }), "f.csv: line 2: a quote is not closed");
  EXPECT_EQ(error_of([] { read_csv("f.csv", std::string(2000, ',')); }), "f.csv: line 1: has more than 1000 fields");
  EXPECT_EQ(error_of([] { read_csv("f.csv", "a\n\"b\"c"); }), "f.csv: line 2: text follows a closing quote");
}

}  // namespace
}  // namespace gyro
