#include "gyro/base/limits.h"

#include <fmt/format.h>
#include <sched.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>
#include <optional>
#include <sstream>
#include <string>
#include <thread>

namespace gyro {
namespace {

namespace fs = std::filesystem;
constexpr double kNone = std::numeric_limits<double>::infinity();

// The number that a line beginning with `key` holds; with an empty key, the file's first. Not there, or "max": nothing.
std::optional<double> number_in(const fs::path& file, const std::string& key = "") {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    std::istringstream words(line);
    std::string name;
    if (!key.empty() && (!(words >> name) || name != key)) continue;
    double value = 0;
    return words >> value ? std::optional(value) : std::nullopt;
  }
  return std::nullopt;
}

// A group's limits: processors and bytes, infinite where it sets none.
struct GroupLimits {
  double processors = kNone, available = kNone;
};

double left_of(std::optional<double> limit, std::optional<double> used, std::optional<double> reclaimable) {
  if (!limit || !used) return kNone;
  return std::max(0.0, *limit - *used + reclaimable.value_or(0));
}

GroupLimits read_v2(const fs::path& folder) {
  GroupLimits out;
  std::ifstream quota(folder / "cpu.max");
  double micros = 0, period = 0;
  if (quota >> micros >> period && period > 0) out.processors = micros / period;
  out.available = left_of(number_in(folder / "memory.max"), number_in(folder / "memory.current"),
                          number_in(folder / "memory.stat", "inactive_file"));
  return out;
}

double processors_v1(const fs::path& folder) {
  const auto quota = number_in(folder / "cpu.cfs_quota_us"), period = number_in(folder / "cpu.cfs_period_us");
  return quota && period && *quota > 0 && *period > 0 ? *quota / *period : kNone;
}

double available_v1(const fs::path& folder) {
  return left_of(number_in(folder / "memory.limit_in_bytes"), number_in(folder / "memory.usage_in_bytes"),
                 number_in(folder / "memory.stat", "total_inactive_file"));
}

// `path` of a group and those above it, as folders under `mount`. A container may see its own group as the mount
// itself, under a path that exists outside only: what is not there sets no limit.
template <typename Visit>
void for_each_group(const fs::path& mount, const std::string& path, const Visit& visit) {
  for (fs::path group = fs::path(path).relative_path(); !group.empty(); group = group.parent_path()) {
    visit(mount / group);
  }
  visit(mount);
}

GroupLimits group_limits(const fs::path& root) {
  GroupLimits out;
  const auto lower = [](double& limit, double value) { limit = std::min(limit, value); };
  const fs::path mount = root / "sys/fs/cgroup";
  std::ifstream groups(root / "proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {  // "0::/path" or "7:cpu,cpuacct:/path"
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = fmt::format(",{},", line.substr(first + 1, second - first - 1));
    const std::string path = line.substr(second + 1);
    const auto has = [&](const char* name) { return controllers.find(name) != std::string::npos; };
    if (controllers == ",,") {
      for_each_group(mount, path, [&](const fs::path& folder) {
        const GroupLimits limits = read_v2(folder);
        lower(out.processors, limits.processors);
        lower(out.available, limits.available);
      });
    }
    if (has(",cpu,")) {
      for_each_group(mount / "cpu", path,
                     [&](const fs::path& folder) { lower(out.processors, processors_v1(folder)); });
    }
    if (has(",memory,")) {
      for_each_group(mount / "memory", path,
                     [&](const fs::path& folder) { lower(out.available, available_v1(folder)); });
    }
  }
  return out;
}

int processors_of_mask() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) != 0) return static_cast<int>(std::thread::hardware_concurrency());
  return CPU_COUNT(&set);
}

}  // namespace

Limits process_limits(const fs::path& root) {
  const GroupLimits group = group_limits(root);
  const double machine = number_in(root / "proc/meminfo", "MemAvailable:").value_or(0) * 1024;
  Limits out;
  out.processors = std::max(1, static_cast<int>(std::min<double>(processors_of_mask(), std::ceil(group.processors))));
  out.available = static_cast<size_t>(std::min(machine, group.available));
  return out;
}

int available_processors() {
  return process_limits().processors;
}

}  // namespace gyro
