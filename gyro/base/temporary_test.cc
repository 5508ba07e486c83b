#include "gyro/base/temporary.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <optional>
#include <set>

#include "gyro/base/test_util.h"

namespace gyro {
namespace {

namespace fs = std::filesystem;

std::set<std::string> names_in(const fs::path& folder) {
  std::set<std::string> names;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder))
    names.insert(entry.path().filename().string());
  return names;
}

// The folder of a process that was killed while it had it.
fs::path killed_folder(const fs::path& target) {
  int channel[2];
  EXPECT_EQ(pipe(channel), 0);
  const pid_t child = fork();
  if (child == 0) {
    const TemporaryFolder folder(target);
    write_text(folder.path() / "model.safetensors", "half");
    const std::string name = folder.path().string() + "\n";
    if (write(channel[1], name.data(), name.size()) < 0) _exit(1);
    pause();
  }
  close(channel[1]);
  std::string name;
  for (char c = 0; read(channel[0], &c, 1) == 1 && c != '\n';) name += c;
  close(channel[0]);
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  EXPECT_TRUE(fs::exists(name));
  return name;
}

TEST(TemporaryFolder, StandsBesideTheTargetAndGoes) {
  const TempDir dir;
  {
    const TemporaryFolder folder(dir / "out");
    EXPECT_EQ(folder.path().parent_path(), dir.path());
    EXPECT_TRUE(folder.path().filename().string().starts_with("out.tmp."));
    fs::create_directory(folder.path() / "inner");
    write_text(folder.path() / "inner/file", "text");
  }
  EXPECT_EQ(names_in(dir.path()), std::set<std::string>{});
}

TEST(TemporaryFolder, HasTheModeOfAnyNewFolder) {
  const TempDir dir;
  const TemporaryFolder folder(dir / "out");
  fs::create_directory(dir / "plain");
  EXPECT_EQ(fs::status(folder.path()).permissions(), fs::status(dir / "plain").permissions());
}

TEST(TemporaryFolder, ReleasedItStays) {
  const TempDir dir;
  {
    TemporaryFolder folder(dir / "out");
    write_text(folder.path() / "file", "text");
    fs::rename(folder.path(), dir / "out");
    folder.release();
  }
  EXPECT_EQ(names_in(dir / "out"), std::set<std::string>{"file"});
}

TEST(TemporaryFolder, RelativeTarget) {
  const TempDir dir;
  const fs::path before = fs::current_path();
  fs::current_path(dir.path());
  { const TemporaryFolder folder("out"), other("out"); }
  fs::current_path(before);
  EXPECT_EQ(names_in(dir.path()), std::set<std::string>{});
}

TEST(TemporaryFolder, RemovesWhatAKilledProcessLeft) {
  const TempDir dir;
  const fs::path left = killed_folder(dir / "out"), others = killed_folder(dir / "out2");
  const TemporaryFolder folder(dir / "out");
  EXPECT_NE(folder.path(), left);
  EXPECT_EQ(names_in(folder.path()), std::set<std::string>{});
  EXPECT_EQ(names_in(dir.path()), (std::set{folder.path().filename().string(), others.filename().string()}));
}

TEST(TemporaryFolder, LeavesThoseInUse) {
  const TempDir dir;
  const TemporaryFolder first(dir / "out");
  write_text(first.path() / "file", "text");
  const TemporaryFolder second(dir / "out");
  EXPECT_NE(first.path(), second.path());
  EXPECT_EQ(names_in(first.path()), std::set<std::string>{"file"});
}

TEST(TemporaryFolder, LeavesWhatItCannotKnow) {
  const TempDir dir;
  fs::create_directories(dir / "out.tmp.7");                  // by a process's number
  fs::create_directories(dir / "out.tmp.00000000.12345678");  // of another machine
  fs::create_directories(dir / "elsewhere");
  write_text(dir / "elsewhere/file", "mine");
  const std::string own = TemporaryFolder(dir / "out").path().filename().string();
  fs::create_directory_symlink(dir / "elsewhere", dir / own);
  const auto before = names_in(dir.path());
  { const TemporaryFolder folder(dir / "out"); }
  EXPECT_EQ(names_in(dir.path()), before);
  EXPECT_TRUE(fs::exists(dir / "elsewhere/file"));
}

TEST(TemporaryFolder, SaysWhatIsWrong) {
  const TempDir dir;
  const std::string error = error_of([&] { TemporaryFolder(dir / "missing/out"); });
  EXPECT_TRUE(contains(error, "missing/out: cannot create the folder: No such file or directory")) << error;
}

}  // namespace
}  // namespace gyro
