#include "gyro/base/cleanup.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "gyro/base/file.h"
#include "gyro/base/temporary.h"
#include "gyro/base/test_util.h"

namespace gyro {
namespace {

namespace fs = std::filesystem;

// Ends by clean_up and _exit in the middle of things.
[[noreturn]] void end_in_the_middle(const TempDir& dir) {
  MadeFolders empty, filled;
  empty.make(dir / "made/for/it");
  filled.make(dir / "kept");
  write_file_atomically(dir / "kept/file", "content");
  const TemporaryFolder unfinished(dir / "out");
  write_file_atomically(unfinished.path() / "part", "content");
  TemporaryFolder finished(dir / "done");
  fs::rename(finished.path(), dir / "done");
  finished.release();
  { const TemporaryFolder gone(dir / "gone"); }
  clean_up();
  _exit(7);
}

TEST(Cleanup, RemovesWhatIsUnfinishedAndNothingElse) {
  const TempDir dir;
  EXPECT_EXIT(end_in_the_middle(dir), testing::ExitedWithCode(7), "");
  std::vector<std::string> left;
  for (const auto& entry : fs::directory_iterator(dir / ".")) left.push_back(entry.path().filename());
  std::sort(left.begin(), left.end());
  EXPECT_EQ(left, (std::vector<std::string>{"done", "kept"}));
  EXPECT_TRUE(fs::exists(dir / "kept/file"));
}

}  // namespace
}  // namespace gyro
