#include "gyro/base/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "gyro/base/error.h"
#include "gyro/base/mapping.h"

namespace gyro {
namespace {

struct Descriptor {
  int fd = -1;
  ~Descriptor() {
    if (fd >= 0) close(fd);
  }
};

// O_NONBLOCK: opening a named pipe must not wait for a writer.
size_t open_regular(const std::filesystem::path& path, Descriptor& file) {
  file.fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file.fd < 0) fail(ErrorKind::NotFound, path.string(), "cannot open: {}", std::strerror(errno));
  struct stat status {};
  if (fstat(file.fd, &status) != 0) fail(path.string(), "cannot read its size: {}", std::strerror(errno));
  if (!S_ISREG(status.st_mode)) fail(path.string(), "is not a regular file");
  return static_cast<size_t>(status.st_size);
}

}  // namespace

MappedFile::MappedFile(const std::filesystem::path& path) : path_(path) {
  Descriptor file;
  size_ = open_regular(path, file);
  if (size_ == 0) return;
  void* mapping = mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file.fd, 0);
  if (mapping == MAP_FAILED) fail(path.string(), "cannot map: {}", std::strerror(errno));
  data_ = static_cast<const std::byte*>(mapping);
  guard_ = guard_mapping(bytes());
  fd_ = std::exchange(file.fd, -1);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)),
      fd_(std::exchange(other.fd_, -1)),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      guard_(std::exchange(other.guard_, nullptr)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(fd_, other.fd_);
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  std::swap(guard_, other.guard_);
  return *this;
}

MappedFile::~MappedFile() {
  if (guard_ != nullptr) release_guard(*guard_);
  if (data_ != nullptr) munmap(const_cast<std::byte*>(data_), size_);
  if (fd_ >= 0) close(fd_);
}

void MappedFile::check() const {
  if (data_ == nullptr) return;
  struct stat status {};
  // The rest of a file's last page reads as zeros without a signal.
  if (fstat(fd_, &status) == 0 && static_cast<size_t>(status.st_size) < size_) {
    fail(path_.string(), "became shorter while it was read: {} bytes of {} are left", status.st_size, size_);
  }
  if (guard_failed(*guard_)) fail(path_.string(), "could not be read: the file or its disk failed meanwhile");
}

void release_pages(std::span<const std::byte> bytes) {
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  const auto begin = (reinterpret_cast<uintptr_t>(bytes.data()) + page - 1) / page * page;
  const auto end = reinterpret_cast<uintptr_t>(bytes.data() + bytes.size()) / page * page;
  if (begin < end) madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

void prefetch_pages(std::span<const std::byte> bytes) {
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  const auto begin = reinterpret_cast<uintptr_t>(bytes.data()) / page * page;
  const auto end = reinterpret_cast<uintptr_t>(bytes.data() + bytes.size());
  // Linux reads no more of a call's range than the disk takes in one request.
  constexpr uintptr_t kPiece = uintptr_t{128} << 10;
  for (uintptr_t at = begin; at < end; at += kPiece) {
    madvise(reinterpret_cast<void*>(at), std::min(kPiece, end - at), MADV_WILLNEED);
  }
}

std::string read_file(const std::filesystem::path& path, size_t limit) {
  Descriptor file;
  const size_t size = open_regular(path, file);
  if (size > limit) fail(path.string(), "is {} bytes long, more than the {} that such a file may have", size, limit);
  std::string content(size, '\0');
  size_t done = 0;
  while (done < size) {
    const ssize_t got = read(file.fd, content.data() + done, size - done);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) fail(path.string(), "cannot read: {}", got < 0 ? std::strerror(errno) : "it became shorter");
    done += static_cast<size_t>(got);
  }
  return content;
}

bool write_all(int fd, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t wrote = write(fd, bytes.data(), bytes.size());
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return false;
    bytes = bytes.subspan(static_cast<size_t>(wrote));
  }
  return true;
}

void write_file_atomically(const std::filesystem::path& path, const std::vector<std::span<const std::byte>>& pieces) {
  const std::string temporary = path.string() + ".tmp." + std::to_string(getpid());
  Descriptor file{open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644)};
  if (file.fd < 0) fail(ErrorKind::Io, path.string(), "cannot create: {}", std::strerror(errno));
  auto give_up = [&](const char* action) {
    const std::string reason = std::strerror(errno);
    unlink(temporary.c_str());
    fail(ErrorKind::Io, path.string(), "cannot {}: {}", action, reason);
  };
  for (const std::span<const std::byte> piece : pieces) {
    if (!write_all(file.fd, piece)) give_up("write");
  }
  if (fsync(file.fd) != 0) give_up("sync to disk");
  if (rename(temporary.c_str(), path.c_str()) != 0) give_up("rename into place");
}

void write_file_atomically(const std::filesystem::path& path, std::span<const std::byte> content) {
  write_file_atomically(path, std::vector{content});
}

void write_file_atomically(const std::filesystem::path& path, std::string_view content) {
  write_file_atomically(path, std::as_bytes(std::span(content.data(), content.size())));
}

MadeFolders::~MadeFolders() {
  remove_empty();
}

void MadeFolders::remove_empty() const {
  std::error_code ignored;  // removes no folder that holds something
  for (auto folder = made_.rbegin(); folder != made_.rend(); ++folder) std::filesystem::remove(*folder, ignored);
}

void MadeFolders::make(const std::filesystem::path& folder) {
  std::filesystem::path at;
  std::error_code error;
  for (const std::filesystem::path& part : folder) {
    at /= part;
    if (std::filesystem::is_directory(at, error)) continue;
    if (std::filesystem::create_directory(at, error)) made_.push_back(at);
    if (error) fail(ErrorKind::Io, folder.string(), "cannot create the folder: {}", error.message());
  }
}

}  // namespace gyro
