#include "gyro/eval/http.h"

#include <gtest/gtest.h>

#include "gyro/base/test_util.h"

namespace gyro {
namespace {

TEST(HttpAddress, IsTheSameHoweverItIsWritten) {
  for (const char* text :
       {"http://host:8000/v1", "http://host:8000/v1/", "http://host:8000/v1//", "HTTP://host:8000/v1"})
    EXPECT_EQ(http_address(text), "http://host:8000/v1") << text;
  EXPECT_EQ(http_address("https://[::1]/"), "https://[::1]");
}

TEST(HttpAddress, RefusesOthersWithoutRepeatingThem) {
  for (const char* text : {"", "host:8000/v1", "host", "ftp://secret/v1", "file:///secret", "http://",
                           "http://a b/secret", "http://h/v1?key=secret", "http://h/v1#secret", "http://secret@h/v1",
                           "http://u:secret@h/v1", "https://:secret@h/v1", "http://h/\nsecret", "ftp://u:secret@h"}) {
    const std::string line = error_of([&] { http_address(text); });
    EXPECT_EQ(line.find("endpoint: "), 0U) << text;
    EXPECT_FALSE(contains(line, "secret")) << line;
  }
  EXPECT_TRUE(contains(error_of([] { http_address("http://u:secret@h/v1"); }), "OPENAI_API_KEY"));
}

}  // namespace
}  // namespace gyro
