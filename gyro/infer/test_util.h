#pragma once

// Copies of the shipped models for tests to change; no product code includes this.

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "gyro/base/file.h"
#include "gyro/base/test_util.h"

namespace gyro {

inline std::filesystem::path shipped_model(const std::string& name) {
  return std::filesystem::path(GYRO_SOURCE_DIR) / "models" / name;
}

/// A copy of a shipped model, in a folder of its own.
class ModelCopy {
 public:
  explicit ModelCopy(const std::string& name) {
    std::filesystem::copy(shipped_model(name), path(), std::filesystem::copy_options::recursive);
  }

  std::filesystem::path path() const { return folder_ / "model"; }
  std::filesystem::path operator/(const std::string& file) const { return path() / file; }
  void remove(const std::string& file) const { std::filesystem::remove(path() / file); }
  void write(const std::string& file, std::string_view text) const { write_text(path() / file, text); }
  /// Has `change` change a JSON file.
  template <typename Change>
  void edit(const std::string& file, Change change) const {
    nlohmann::json json = nlohmann::json::parse(read_file(path() / file, size_t{1} << 20));
    change(json);
    write(file, json.dump());
  }

 private:
  TempDir folder_;
};

}  // namespace gyro
