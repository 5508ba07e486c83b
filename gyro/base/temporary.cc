#include "gyro/base/temporary.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <random>
#include <string>

#include "gyro/base/error.h"

namespace gyro {
namespace {

namespace fs = std::filesystem;

// Tells this machine since its start from others; empty where it cannot be known.
std::string boot_mark() {
  std::string id;
  std::ifstream("/proc/sys/kernel/random/boot_id") >> id;
  return id.substr(0, 8);
}

enum class Lock { Held, Free, Impossible };

// Locks a folder: Held if another process has it, Free if it now is this one's.
Lock lock(int fd) {
  if (flock(fd, LOCK_EX | LOCK_NB) == 0) return Lock::Free;
  return errno == EWOULDBLOCK ? Lock::Held : Lock::Impossible;
}

// Whether the folder opened as `fd` still has that name: it may have been renamed or removed before it was locked.
bool still_there(int fd, const fs::path& path) {
  struct stat opened {
  }, named{};
  return fstat(fd, &opened) == 0 && lstat(path.c_str(), &named) == 0 && opened.st_dev == named.st_dev &&
         opened.st_ino == named.st_ino;
}

int open_folder(const fs::path& path) {
  return open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

// Removes folders of that beginning whose owners are gone.
void remove_left_over(const fs::path& above, const std::string& beginning) {
  std::error_code error;
  for (fs::directory_iterator it(above, error), end; !error && it != end; it.increment(error)) {
    if (!it->path().filename().string().starts_with(beginning)) continue;
    const int fd = open_folder(it->path());
    if (fd < 0) continue;
    std::error_code ignored;
    if (lock(fd) == Lock::Free && still_there(fd, it->path())) fs::remove_all(it->path(), ignored);
    close(fd);
  }
}

}  // namespace

TemporaryFolder::TemporaryFolder(const fs::path& target) {
  const fs::path above = target.has_parent_path() ? target.parent_path() : ".";
  const std::string boot = boot_mark(), beginning = target.filename().string() + ".tmp." + boot + ".";
  if (!boot.empty()) remove_left_over(above, beginning);
  std::random_device random;
  while (path_.empty()) {
    // mkdtemp would give it a mode that only the owner can read.
    const fs::path path = above / (beginning + fmt::format("{:08x}", random()));
    if (mkdir(path.c_str(), 0777) != 0) {
      if (errno == EEXIST) continue;
      fail(ErrorKind::Io, target.string(), "cannot create the folder: {}", std::strerror(errno));
    }
    lock_ = open_folder(path);
    // Between the calls another process may have taken it for one left over.
    if (lock(lock_) != Lock::Held && fs::exists(path)) path_ = path;
    if (path_.empty() && lock_ >= 0) close(lock_);
  }
  cleanup_.emplace([path = path_] {
    std::error_code ignored;
    fs::remove_all(path, ignored);
  });
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  if (!path_.empty()) fs::remove_all(path_, ignored);
  if (lock_ >= 0) close(lock_);
}

void TemporaryFolder::release() {
  cleanup_.reset();
  path_.clear();
  if (lock_ >= 0) close(lock_);
  lock_ = -1;
}

}  // namespace gyro
