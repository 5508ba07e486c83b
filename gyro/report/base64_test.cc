#include "gyro/report/base64.h"

#include <gtest/gtest.h>

#include "gyro/base/error.h"

namespace gyro {
namespace {

TEST(Base64, MeetsTheStandard) {
  EXPECT_EQ(base64(""), "");
  EXPECT_EQ(base64("f"), "Zg==");
  EXPECT_EQ(base64("fo"), "Zm8=");
  EXPECT_EQ(base64("foo"), "Zm9v");
  EXPECT_EQ(base64("\xff\xfe\xfd\x00"), "//79");  // a literal ends at its NUL
  EXPECT_EQ(base64(std::string_view("\xff\xfe\xfd\x00", 4)), "//79AA==");
}

TEST(Base64, IsReadBack) {
  for (const std::string text : {"", "f", "fo", "foo", "foob", "fooba"}) {
    EXPECT_EQ(base64_bytes("file", base64(text)), text);
  }
  EXPECT_EQ(base64_bytes("file", "//79AA=="), std::string_view("\xff\xfe\xfd\x00", 4));
  for (const char* bad : {"Zg=", "Z", "Zm9v Zm", "Zg=?"}) EXPECT_THROW(base64_bytes("file", bad), Error) << bad;
}

}  // namespace
}  // namespace gyro
