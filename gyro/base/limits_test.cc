#include "gyro/base/limits.h"

#include <gtest/gtest.h>

#include <map>
#include <string>

#include "gyro/base/test_util.h"

namespace gyro {
namespace {

// A machine of 64 GB, and what its control groups say.
Limits limits_of(const std::map<std::string, std::string>& files) {
  const TempDir root;
  auto all = files;
  all["proc/meminfo"] = "MemTotal: 66000000 kB\nMemAvailable:   64000000 kB\n";
  for (const auto& [path, text] : all) {
    std::filesystem::create_directories((root.path() / path).parent_path());
    write_text(root / path, text);
  }
  return process_limits(root.path());
}

constexpr size_t kMachine = size_t{64000000} * 1024;

TEST(Limits, WithoutGroupsTheMachineIsTheLimit) {
  const Limits limits = limits_of({});
  EXPECT_EQ(limits.available, kMachine);
  EXPECT_GE(limits.processors, 1);
}

TEST(Limits, QuotasCountAsProcessorsRoundedUp) {
  const auto processors = [](const std::string& quota) {
    return limits_of({{"proc/self/cgroup", "0::/\n"}, {"sys/fs/cgroup/cpu.max", quota}}).processors;
  };
  EXPECT_EQ(processors("100000 100000\n"), 1);
  EXPECT_EQ(processors("10000 100000\n"), 1);
  EXPECT_EQ(processors("max 100000\n"), limits_of({}).processors);
  if (limits_of({}).processors >= 2) {
    EXPECT_EQ(processors("150000 100000\n"), 2);
  }
}

TEST(Limits, GroupsAboveCountToo) {
  const Limits limits = limits_of({{"proc/self/cgroup", "0::/job/step\n"},
                                   {"sys/fs/cgroup/job/cpu.max", "100000 100000\n"},
                                   {"sys/fs/cgroup/job/step/cpu.max", "max 100000\n"},
                                   {"sys/fs/cgroup/job/memory.max", "8000000000\n"},
                                   {"sys/fs/cgroup/job/memory.current", "3000000000\n"},
                                   {"sys/fs/cgroup/job/memory.stat", "anon 1\ninactive_file 500000000\n"},
                                   {"sys/fs/cgroup/job/step/memory.max", "max\n"},
                                   {"sys/fs/cgroup/job/step/memory.current", "1000\n"}});
  EXPECT_EQ(limits.processors, 1);
  EXPECT_EQ(limits.available, 5500000000u);
}

TEST(Limits, VersionOneOfAContainerThatSeesItsOwnGroupAsTheRoot) {
  const Limits limits = limits_of({{"proc/self/cgroup", "7:cpu,cpuacct:/docker/abc\n5:memory:/docker/abc\n"},
                                   {"sys/fs/cgroup/cpu/cpu.cfs_quota_us", "50000\n"},
                                   {"sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"},
                                   {"sys/fs/cgroup/memory/memory.limit_in_bytes", "4000000000\n"},
                                   {"sys/fs/cgroup/memory/memory.usage_in_bytes", "1000000000\n"}});
  EXPECT_EQ(limits.processors, 1);
  EXPECT_EQ(limits.available, 3000000000u);
}

TEST(Limits, AGroupThatIsFullLeavesNothing) {
  const Limits limits = limits_of({{"proc/self/cgroup", "0::/\n"},
                                   {"sys/fs/cgroup/memory.max", "1000\n"},
                                   {"sys/fs/cgroup/memory.current", "2000\n"}});
  EXPECT_EQ(limits.available, 0u);
}

}  // namespace
}  // namespace gyro
