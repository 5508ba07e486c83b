#include "gyro/cli/error_line.h"

#include <gtest/gtest.h>

namespace gyro {
namespace {

TEST(ErrorLine, IsTheErrorsOwnWithoutAField) {
  EXPECT_EQ(error_line(Error("base/config.json", "has no layers")), "base/config.json: has no layers");
}

TEST(ErrorLine, NamesTheOption) {
  EXPECT_EQ(error_line(Error("target_modules", "there is no 'x'", {ErrorKind::Input, "target_modules"})),
            "--target-modules: there is no 'x'");
}

TEST(ErrorLine, SaysWhichOptionWouldHelp) {
  EXPECT_EQ(error_line(Error("out", "is not empty", {ErrorKind::Input, "force"})),
            "out: is not empty; choose another folder or say --force");
  EXPECT_EQ(error_line(Error("w", "does not fit", {ErrorKind::Memory, "device"})),
            "w: does not fit; --device cpu needs no GPU");
  EXPECT_EQ(error_line(Error("w", "is too large", {ErrorKind::Input, "no option of ours"})), "w: is too large");
}

TEST(ErrorLine, IsOneLine) {
  EXPECT_EQ(error_line(Error("rank", "is\n7", {ErrorKind::Input, "rank"})), "--rank: is?7");
}

}  // namespace
}  // namespace gyro
