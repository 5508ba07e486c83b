#pragma once

#include <filesystem>
#include <optional>

#include "gyro/base/cleanup.h"

namespace gyro {

/// A new folder, named as `target` with ".tmp." and a part of its own, beside where its content is to go: renaming
/// moves it there at once. Removed with all it holds on destruction, unless release() was called.
///
/// A process that is killed leaves its folder behind. The next one for the same target removes it, if it is sure that
/// the owner is gone: each holds a lock (flock) on its folder, which ends with it however it ends. Folders made by
/// another machine, or by this one before it was started anew, are left alone (on a network's file system a lock may
/// not reach beyond one machine), as are those that cannot be locked. Nothing that was there is ever used again.
class TemporaryFolder {
 public:
  /// `target` has a name (no trailing slash); the folder above it exists. Throws Error naming `target`.
  explicit TemporaryFolder(const std::filesystem::path& target);
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  /// The folder was renamed: it is no longer looked after.
  void release();

 private:
  std::filesystem::path path_;  // empty once released
  int lock_ = -1;               // descriptor of the folder
  std::optional<Cleanup> cleanup_;
};

}  // namespace gyro
