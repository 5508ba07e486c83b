#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace gyro {

/// Where huggingface_hub keeps what it downloads: HF_HUB_CACHE, HUGGINGFACE_HUB_CACHE, HF_HOME/hub,
/// XDG_CACHE_HOME/huggingface/hub or ~/.cache/huggingface/hub, the first that is set.
std::filesystem::path hub_cache();

/// Whether it is a model's folder in that cache: models--owner--name, with snapshots/.
bool is_cached_model(const std::filesystem::path& folder);

/// The snapshot that such a folder has of a revision (a branch, a tag or a commit); of none named, the one that
/// refs/main means, or the only one. Throws Error naming `folder` and what snapshots there are.
std::filesystem::path cached_snapshot(const std::filesystem::path& folder, std::string_view revision);

/// A model of the Hub by its name, as `owner/name`, `name` or either with `@revision`: nothing for another text.
struct HubModel {
  std::string name, revision;
};
std::optional<HubModel> hub_model(std::string_view given);
/// Its folder in the cache, which there may be or not.
std::filesystem::path cached_model(const HubModel& model);
/// The command that brings it there.
std::string download_command(const HubModel& model);

}  // namespace gyro
