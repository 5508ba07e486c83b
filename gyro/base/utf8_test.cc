#include "gyro/base/utf8.h"

#include <gtest/gtest.h>

#include "gyro/base/error.h"

namespace gyro {
namespace {

TEST(Utf8, CountsCodePoints) {
  EXPECT_EQ(columns_of(""), 0U);
  EXPECT_EQ(columns_of("abc"), 3U);
  EXPECT_EQ(columns_of("αβ€𝄞"), 4U);
}

TEST(Utf8, TellsWhatIsNone) {
  for (const char* text : {"", "a", "α€𝄞", "\xf4\x8f\xbf\xbf", "\xed\x9f\xbf", "\xee\x80\x80"})
    EXPECT_TRUE(is_utf8(text));
  for (const char* text : {"\x80", "a\xff", "\xc3", "\xc3(", "\xe2\x82", "\xc0\x80", "\xe0\x80\x80", "\xed\xa0\x80",
                           "\xf4\x90\x80\x80", "\xf0\x80\x80\x80"})
    EXPECT_FALSE(is_utf8(text));
}

TEST(Utf8, CutsBetweenCodePoints) {
  const std::string_view text = "aα€𝄞";  // 1 + 2 + 3 + 4 bytes
  const std::string_view expected[] = {"", "a", "a", "aα", "aα", "aα", "aα€", "aα€", "aα€", "aα€", "aα€𝄞", "aα€𝄞"};
  for (size_t limit = 0; limit < std::size(expected); ++limit) EXPECT_EQ(first_bytes(text, limit), expected[limit]);
}

TEST(Utf8, BytesThatAreNoTextAreCutToo) {
  const std::string bytes(20, '\x80');
  EXPECT_EQ(first_bytes(bytes, 10).size(), 10U);
  EXPECT_EQ(first_bytes("a" + bytes, 10).size(), 10U);
}

TEST(Utf8, TakesSoManyColumns) {
  EXPECT_EQ(first_columns("aα€𝄞", 0), "");
  EXPECT_EQ(first_columns("aα€𝄞", 3), "aα€");
  EXPECT_EQ(first_columns("aα€𝄞", 4), "aα€𝄞");
  EXPECT_EQ(first_columns("aα€𝄞", 9), "aα€𝄞");
  EXPECT_EQ(columns_of("aα€𝄞"), 4U);
  EXPECT_EQ(columns_of("模型-1"), 6U);  // wide, as a terminal shows them
  EXPECT_EQ(columns_of("e\u0301"), 1U);
  EXPECT_EQ(first_columns("模型-1", 3), "模");
  EXPECT_EQ(columns_of("\xe6\x80\x80\x80\x80"), 1U);  // no sign at all
}

TEST(Printable, CutsBetweenCodePoints) {
  EXPECT_EQ(printable("ααα", 6), "ααα");
  EXPECT_EQ(printable("ααα", 5), "αα...");
  EXPECT_EQ(printable("ααα", 4), "αα...");
  EXPECT_EQ(printable("a\tb\x7f", 300), "a?b?");
}

}  // namespace
}  // namespace gyro
