#include "gyro/open/hub_cache.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <system_error>
#include <vector>

#include "gyro/base/error.h"
#include "gyro/base/file.h"
#include "gyro/checkpoint/hub_path.h"

namespace gyro {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMostNamed = 4;

// A setting of the environment, "~" in front being the home folder as for huggingface_hub; empty if it is not set.
std::string setting(const char* name) {
  const char* value = std::getenv(name);
  std::string text = value == nullptr ? "" : value;
  const char* home = std::getenv("HOME");
  if (home != nullptr && (text == "~" || text.starts_with("~/"))) text = home + text.substr(1);
  return text;
}

bool is_folder(const fs::path& path) {
  std::error_code ignored;
  return fs::is_directory(path, ignored);
}

// A branch, tag or commit, which becomes a path below refs/ or snapshots/.
bool is_revision(std::string_view text) {
  const auto allowed = [](unsigned char c) {
    return (c < 0x80 && std::isalnum(c)) || c == '-' || c == '_' || c == '.' || c == '/' || c == '+';
  };
  return !text.empty() && text.size() <= 200 && std::all_of(text.begin(), text.end(), allowed) &&
         text.find("..") == text.npos && text.front() != '/' && text.front() != '-' && text.back() != '/';
}

std::vector<std::string> snapshots_of(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator it(folder / "snapshots", error), end; !error && it != end; it.increment(error)) {
    if (is_folder(it->path())) names.push_back(printable(it->path().filename().string(), 100));
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::string listed(std::vector<std::string> names) {
  const size_t count = names.size();
  if (count > kMostNamed) names.resize(kMostNamed);
  return fmt::format("{}{}", fmt::join(names, ", "),
                     count > kMostNamed ? fmt::format(" and {} more", count - kMostNamed) : "");
}

// The commit that a name stands for, empty if refs/ has none of it.
std::string commit_of(const fs::path& folder, const std::string& name) {
  std::error_code ignored;
  const fs::path file = folder / "refs" / name;
  if (!fs::is_regular_file(file, ignored)) return "";
  std::string commit = read_file(file, 1000);
  while (!commit.empty() && std::isspace(static_cast<unsigned char>(commit.back()))) commit.pop_back();
  if (!is_revision(commit)) fail(file.string(), "does not hold the name of a commit");
  return commit;
}

}  // namespace

fs::path hub_cache() {
  for (const char* name : {"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"}) {
    if (const std::string text = setting(name); !text.empty()) return text;
  }
  if (const std::string home = setting("HF_HOME"); !home.empty()) return fs::path(home) / "hub";
  const std::string cache = setting("XDG_CACHE_HOME");
  return (cache.empty() ? fs::path(setting("HOME")) / ".cache" : fs::path(cache)) / "huggingface" / "hub";
}

bool is_cached_model(const fs::path& folder) {
  return folder.filename().string().starts_with("models--") && is_folder(folder / "snapshots");
}

fs::path cached_snapshot(const fs::path& folder, std::string_view revision) {
  const std::vector<std::string> snapshots = snapshots_of(folder);
  if (snapshots.empty()) fail(ErrorKind::NotFound, folder.string(), "has no snapshot: its download did not end");
  const std::string name(revision.empty() ? "main" : revision);
  std::string commit = commit_of(folder, name);
  if (commit.empty() && !revision.empty()) commit = name;
  if (commit.empty() && snapshots.size() == 1) commit = snapshots.front();
  if (commit.empty()) {
    fail(folder.string(), "has no refs/main and {} snapshots; name one: {}", snapshots.size(), listed(snapshots));
  }
  if (!is_folder(folder / "snapshots" / commit)) {
    fail(ErrorKind::NotFound, folder.string(), "has no snapshot {}; there is {}", printable(commit, 100),
         listed(snapshots));
  }
  return folder / "snapshots" / commit;
}

std::optional<HubModel> hub_model(std::string_view given) {
  const size_t at = given.find('@');
  HubModel model{std::string(given.substr(0, at)), at == given.npos ? "" : std::string(given.substr(at + 1))};
  if (!is_hub_name(model.name) || (at != given.npos && !is_revision(model.revision))) return std::nullopt;
  return model;
}

fs::path cached_model(const HubModel& model) {
  const size_t slash = model.name.find('/');
  return hub_cache() / (slash == model.name.npos
                            ? fmt::format("models--{}", model.name)
                            : fmt::format("models--{}--{}", model.name.substr(0, slash), model.name.substr(slash + 1)));
}

std::string download_command(const HubModel& model) {
  return fmt::format("hf download {}{}{}", model.name, model.revision.empty() ? "" : " --revision ", model.revision);
}

}  // namespace gyro
