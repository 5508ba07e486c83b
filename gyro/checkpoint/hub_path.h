#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace gyro {

/// Whether the Hugging Face Hub takes this for a model's name: `owner/name`, or `name` as the oldest models have it.
bool is_hub_name(std::string_view name);

/// Of a path like `.../models--owner--name/snapshots/commit` in the Hub's cache: `owner/name` and the commit. Both
/// empty of any other. The path as it is named counts, not where links in it lead.
struct SnapshotPath {
  std::string name;
  std::string commit;
};
SnapshotPath snapshot_path(const std::filesystem::path& path);

/// How reports call the model of a folder: SnapshotPath::name, else the path as given without a trailing slash.
std::string model_id(const std::filesystem::path& path);
/// Its name on the Hub, from the cache's path or from a path that is given like one; else empty.
std::string hub_name(const std::filesystem::path& path);

}  // namespace gyro
