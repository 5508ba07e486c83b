#include "gyro/checkpoint/hub_path.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <system_error>

namespace gyro {
namespace {

namespace fs = std::filesystem;

// Owner and name as the Hub takes them: it refuses what looks like a step through folders.
bool is_hub_part(std::string_view part) {
  const auto allowed = [](unsigned char c) {
    return (c < 0x80 && std::isalnum(c)) || c == '-' || c == '_' || c == '.';
  };
  const auto edge = [](char c) { return c == '-' || c == '.'; };
  return !part.empty() && part.size() <= 96 && std::all_of(part.begin(), part.end(), allowed) && !edge(part.front()) &&
         !edge(part.back()) && part.find("--") == part.npos && part.find("..") == part.npos;
}

}  // namespace

bool is_hub_name(std::string_view name) {
  const size_t slash = name.find('/');
  if (slash == name.npos) return is_hub_part(name);
  return is_hub_part(name.substr(0, slash)) && is_hub_part(name.substr(slash + 1));
}

SnapshotPath snapshot_path(const fs::path& path) {
  constexpr std::string_view kModels = "models--";
  std::error_code error;
  fs::path full = fs::absolute(path, error).lexically_normal();
  if (error) return {};
  if (!full.has_filename()) full = full.parent_path();
  const fs::path snapshots = full.parent_path();
  const std::string folder = snapshots.parent_path().filename().string();
  if (snapshots.filename() != "snapshots" || !folder.starts_with(kModels)) return {};
  const std::string model = folder.substr(kModels.size());
  const size_t owner = model.find("--");
  return {owner == model.npos ? model : fmt::format("{}/{}", model.substr(0, owner), model.substr(owner + 2)),
          full.filename().string()};
}

std::string model_id(const fs::path& path) {
  if (std::string name = snapshot_path(path).name; !name.empty()) return name;
  std::string given = path.string();
  while (given.size() > 1 && given.ends_with('/')) given.pop_back();
  return given;
}

std::string hub_name(const fs::path& path) {
  std::string id = model_id(path);
  const bool owned = id.find('/') != id.npos;
  return is_hub_name(id) && (owned || id == snapshot_path(path).name) ? id : "";  // models--gpt2 has no owner
}

}  // namespace gyro
