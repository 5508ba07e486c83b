#include "gyro/base/file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
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
