#include "gyro/cli/terminal.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>

namespace gyro {
namespace {

TEST(Wrapped, BreaksAtSpaces) {
  EXPECT_EQ(wrapped("one two three four", 9, "  "), "one two\n  three\n  four\n");
  EXPECT_EQ(wrapped("α β γ", 3, ""), "α β\nγ\n");
  EXPECT_EQ(wrapped("longerthanthewidth x", 5, "  "), "longerthanthewidth\n  x\n");
  EXPECT_EQ(wrapped("", 5, "  "), "\n");
  EXPECT_EQ(wrapped("at most 3.7 % of it", 12, ""), "at most\n3.7 % of it\n");
}

TEST(Terminal, IsPlainAndOf80ColumnsWhereThereIsNone) {
  const int file = open("/dev/null", O_WRONLY);
  unsetenv("COLUMNS");
  unsetenv("CLICOLOR_FORCE");
  EXPECT_EQ(terminal_of(file).width, 80u);
  EXPECT_EQ(terminal_of(file).paint(Colour::Green, "x"), "x");
  setenv("COLUMNS", "132", 1);
  setenv("CLICOLOR_FORCE", "1", 1);
  EXPECT_EQ(terminal_of(file).width, 132u);
  EXPECT_EQ(terminal_of(file).paint(Colour::Green, "x"), "\033[32mx\033[0m");
  setenv("COLUMNS", "many", 1);
  setenv("NO_COLOR", "1", 1);
  EXPECT_EQ(terminal_of(file).width, 80u);
  EXPECT_EQ(terminal_of(file).paint(Colour::Green, "x"), "x");
  for (const char* name : {"COLUMNS", "CLICOLOR_FORCE", "NO_COLOR"}) unsetenv(name);
  close(file);
}

}  // namespace
}  // namespace gyro
