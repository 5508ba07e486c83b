#include "gyro/base/file.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <functional>
#include <thread>
#include <utility>

#include "gyro/base/test_util.h"

namespace gyro {
namespace {

namespace fs = std::filesystem;

std::string text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

size_t files_in(const fs::path& folder) {
  return static_cast<size_t>(std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

TEST(MappedFile, MapsAndMoves) {
  const TempDir dir;
  write_text(dir / "a", "hello");
  MappedFile a(dir / "a");
  MappedFile b(std::move(a));
  EXPECT_EQ(text_of(b.bytes()), "hello");
  write_text(dir / "empty", "");
  MappedFile empty(dir / "empty");
  EXPECT_TRUE(empty.bytes().empty());
  empty = std::move(b);
  EXPECT_EQ(text_of(empty.bytes()), "hello");
}

// Three pages of 'x', and what is left of them after `change` as threads read them.
std::pair<std::string, std::string> read_after(const std::function<void(const fs::path&)>& change) {
  const TempDir dir;
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  write_text(dir / "a", std::string(3 * page, 'x'));
  const MappedFile file(dir / "a");
  file.check();
  change(dir / "a");
  std::string first;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&file, &first, i] {
      const std::string all = text_of(file.bytes());
      if (i == 0) first = all;
    });
  }
  for (std::thread& thread : threads) thread.join();
  return {first, error_of([&] { file.check(); })};
}

TEST(MappedFile, SaysThatItBecameShorter) {
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  for (const size_t left : {size_t{0}, page, page + 1, 3 * page - 1}) {  // the last raises no signal
    const auto [text, error] = read_after([&](const fs::path& path) { fs::resize_file(path, left); });
    EXPECT_EQ(text, std::string(left, 'x') + std::string(3 * page - left, '\0'));
    EXPECT_TRUE(
        contains(error, fmt::format("a: became shorter while it was read: {} bytes of {} are left", left, 3 * page)))
        << error;
  }
}

TEST(MappedFile, SaysThatPagesWereLostEvenIfTheFileGrewAgain) {
  const TempDir dir;
  write_text(dir / "a", std::string(10000, 'x'));
  const MappedFile file(dir / "a");
  fs::resize_file(dir / "a", 0);
  EXPECT_EQ(file.bytes()[5000], std::byte{0});
  fs::resize_file(dir / "a", 10000);
  EXPECT_TRUE(contains(error_of([&] { file.check(); }), "a: could not be read"));
}

TEST(MappedFile, KeepsWhatAnotherFileOfTheNameReplaces) {
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  const auto [text, error] = read_after([&](const fs::path& path) { write_file_atomically(path, "new"); });
  EXPECT_EQ(text, std::string(3 * page, 'x'));
  EXPECT_EQ(error, "no error");
}

#ifndef GYRO_SANITIZED  // a sanitizer has a handler of its own
TEST(MappedFileDeathTest, LeavesOtherBusErrorsAsTheyWere) {
  const TempDir dir;
  write_text(dir / "a", "hello");
  const MappedFile file(dir / "a");
  EXPECT_EXIT(raise(SIGBUS), testing::KilledBySignal(SIGBUS), "");
}
#endif

TEST(MappedFile, RefusesWhatIsNoRegularFile) {
  const TempDir dir;
  ASSERT_EQ(mkfifo((dir / "pipe").c_str(), 0600), 0);
  fs::create_symlink("nowhere", dir / "dangling");
  for (const char* name : {"missing", "dangling"}) {
    EXPECT_TRUE(contains(error_of([&] { MappedFile file(dir / name); }), "cannot open")) << name;
  }
  for (const char* name : {"pipe", "."}) {
    EXPECT_TRUE(contains(error_of([&] { MappedFile file(dir / name); }), "is not a regular file")) << name;
    EXPECT_TRUE(contains(error_of([&] { read_file(dir / name, 10); }), "is not a regular file")) << name;
  }
}

TEST(ReleasePages, KeepsTheContent) {
  const TempDir dir;
  write_text(dir / "big", std::string(100'000, 'z'));
  const MappedFile file(dir / "big");
  release_pages(file.bytes());
  release_pages(file.bytes().subspan(1, 3));
  release_pages({});
  EXPECT_EQ(text_of(file.bytes()), std::string(100'000, 'z'));
}

TEST(ReadFile, ReadsUpToTheLimit) {
  const TempDir dir;
  write_text(dir / "a", "12345");
  EXPECT_EQ(read_file(dir / "a", 5), "12345");
  EXPECT_TRUE(contains(error_of([&] { read_file(dir / "a", 4); }), "is 5 bytes long, more than the 4"));
}

TEST(WriteFile, ReplacesAndLeavesNothingElse) {
  const TempDir dir;
  write_file_atomically(dir / "a", "first");
  write_file_atomically(dir / "a", "second");
  EXPECT_EQ(read_file(dir / "a", 100), "second");
  const std::string one = "one, ";
  const std::string two = "two";
  write_file_atomically(dir / "a", {std::as_bytes(std::span(one)), {}, std::as_bytes(std::span(two))});
  EXPECT_EQ(read_file(dir / "a", 100), "one, two");
  EXPECT_EQ(files_in(dir.path()), 1u);
}

TEST(WriteFile, FailureLeavesNothing) {
  const TempDir dir;
  const std::string missing = error_of([&] { write_file_atomically(dir / "no/such/a", "x"); });
  EXPECT_TRUE(contains(missing, "no/such/a: cannot create")) << missing;
  fs::create_directories(dir / "folder/inside");
  const std::string taken = error_of([&] { write_file_atomically(dir / "folder", "x"); });
  EXPECT_TRUE(contains(taken, "cannot rename into place")) << taken;
  EXPECT_EQ(files_in(dir.path()), 1u);
}

TEST(MadeFolders, RemovesWhatItMadeAndIsEmpty) {
  const TempDir dir;
  fs::create_directory(dir / "old");
  {
    MadeFolders folders;
    folders.make(dir / "old");
    folders.make(dir / "old/a/b");
    folders.make(dir / "new/a/");
    folders.make(dir / "new/b/c");
    folders.make("");
    write_text(dir / "new/b/mine", "x");
    EXPECT_TRUE(fs::is_directory(dir / "old/a/b"));
    EXPECT_TRUE(fs::is_directory(dir / "new/a"));
  }
  EXPECT_TRUE(fs::is_empty(dir / "old"));
  EXPECT_EQ(files_in(dir / "new"), 1u);
  EXPECT_EQ(files_in(dir / "new/b"), 1u);
}

TEST(MadeFolders, FailureLeavesNothing) {
  const TempDir dir;
  write_text(dir / "file", "x");
  const std::string line = error_of([&] { MadeFolders().make(dir / "a/../file/below"); });
  EXPECT_TRUE(contains(line, "file/below: cannot create the folder: ")) << line;
  EXPECT_EQ(files_in(dir.path()), 1u);
}

}  // namespace
}  // namespace gyro
