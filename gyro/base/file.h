#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gyro/base/cleanup.h"

namespace gyro {

struct GuardedMapping;

/// A regular file mapped read-only. Throws Error naming the path when it is missing, unreadable or not a regular file
/// (a named pipe never blocks). An empty file maps to an empty span. Movable, unmapped on destruction.
///
/// A file that becomes shorter, or whose disk fails, while it is mapped does not end the process by SIGBUS: what can no
/// longer be read reads as zeros, and check() says so. Whoever has used the bytes asks it before passing on what came
/// of them (gyro/base/mapping.h says how it works).
class MappedFile {
 public:
  explicit MappedFile(const std::filesystem::path& path);
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();

  std::span<const std::byte> bytes() const { return {data_, size_}; }
  /// Throws Error naming the path if some of the bytes may have read as zeros that the file did not hold.
  void check() const;

 private:
  std::filesystem::path path_;
  int fd_ = -1;  // for its size: the path may lead to another file by now
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
  GuardedMapping* guard_ = nullptr;
};

/// Tells the kernel that the pages wholly inside `bytes` of a MappedFile are not needed for now, so that they no longer
/// count as resident. They are read again from the file when touched. Memory that is not of a file would be lost.
void release_pages(std::span<const std::byte> bytes);

/// Has the pages of `bytes` of a MappedFile read from the disk, without waiting for it.
void prefetch_pages(std::span<const std::byte> bytes);

/// The whole of a regular file of at most `limit` bytes. Throws Error naming the path.
std::string read_file(const std::filesystem::path& path, size_t limit);

/// Writes all of `bytes` to a descriptor. On failure returns false with errno set; a part may then be written.
bool write_all(int fd, std::span<const std::byte> bytes);

/// Writes `content` to a temporary name beside `path`, syncs it to disk and renames it into place: `path` holds either
/// what it held before or all of `content`. Throws Error naming the path; the temporary file is then gone.
void write_file_atomically(const std::filesystem::path& path, std::span<const std::byte> content);
void write_file_atomically(const std::filesystem::path& path, std::string_view content);
/// The same with the content in pieces, written one after the other without being put together in memory.
void write_file_atomically(const std::filesystem::path& path, const std::vector<std::span<const std::byte>>& pieces);

/// Folders that had to be made for something to be put into them. Those still empty at the end, because nothing was put
/// there after all, are removed again.
class MadeFolders {
 public:
  MadeFolders() : cleanup_([this] { remove_empty(); }) {}
  ~MadeFolders();
  MadeFolders(const MadeFolders&) = delete;
  MadeFolders& operator=(const MadeFolders&) = delete;

  /// Makes `folder` and the folders above it, as far as they are missing. Throws Error naming `folder`.
  void make(const std::filesystem::path& folder);

 private:
  void remove_empty() const;

  std::vector<std::filesystem::path> made_;  // in the order in which they were made
  Cleanup cleanup_;
};

}  // namespace gyro
