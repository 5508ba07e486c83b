#include "gyro/device/pool.h"

#include <algorithm>

#include "gyro/base/error.h"
#include "gyro/base/limits.h"
#include "gyro/base/team.h"

namespace gyro::device {
namespace {

// Libraries' workspaces and the allocator's rounding take their part of what is free.
constexpr double kUsable = 0.85;
// Of the host's memory that is free when a run begins.
constexpr double kHostShare = 0.8;

}  // namespace

std::vector<Gpu> require_gpus() {
  std::vector<Gpu> found = gpus();
  if (found.empty()) fail({ErrorKind::Device, "device"}, "device", "{}", why_none());
  return found;
}

Pool::Pool(const std::vector<Gpu>& gpus) {
  for (const Gpu& gpu : gpus) {
    const auto memory = static_cast<size_t>(kUsable * static_cast<double>(available(gpu.ordinal)));
    budgets_.push_back({gpu.ordinal, memory, memory});
  }
}

Pool::Budget& Pool::take(size_t bytes) {
  std::unique_lock lock(mutex_);
  const auto fits = [&](const Budget& s) { return s.spare >= std::min(bytes, s.memory); };
  const auto roomiest = [&] {
    return std::max_element(budgets_.begin(), budgets_.end(), [&](const Budget& a, const Budget& b) {
      return std::pair(fits(a), a.spare) < std::pair(fits(b), b.spare);
    });
  };
  freed_.wait(lock, [&] { return fits(*roomiest()); });
  Budget& budget = *roomiest();
  budget.spare -= std::min(bytes, budget.memory);
  return budget;
}

void Pool::give(Budget& budget, size_t bytes) {
  {
    const std::lock_guard lock(mutex_);
    budget.spare += std::min(bytes, budget.memory);
  }
  freed_.notify_all();
}

bool Pool::attempt(size_t bytes, const std::function<void()>& job) {
  Budget& budget = take(bytes);
  struct Release {
    Pool& pool;
    Budget& budget;
    size_t bytes;
    ~Release() { pool.give(budget, bytes); }
  } release{*this, budget, bytes};
  try {
    const Scope scope(budget.gpu);
    job();
    return true;
  } catch (const OutOfMemory&) {
    return false;
  }
}

void Pool::run(const std::string& subject, size_t bytes, const std::function<void()>& job) {
  if (attempt(bytes, job) || attempt(SIZE_MAX, job)) return;
  fail({ErrorKind::Memory, "device"}, subject, "does not fit into the GPU's memory (about {:.1f} GB are needed)",
       static_cast<double>(bytes) * 1e-9);
}

Workers::Workers(bool cuda, int threads, size_t memory) : memory_(memory) {
  if (cuda) gpus_.emplace(require_gpus());
  const Limits limits = process_limits();
  count_ = threads > 0 ? threads : gpus_ ? gpus_->workers() : limits.processors;
  if (memory_ == 0) memory_ = static_cast<size_t>(kHostShare * static_cast<double>(limits.available));
}

void Workers::run_on_host(size_t bytes, const std::function<void()>& job) {
  Team* const team = current_team();
  if (team == nullptr) return job();
  {
    auto lock = team->lock();
    while (used_ > 0 && used_ + bytes > memory_) team->wait(lock);
    used_ += bytes;
  }
  struct Release {
    Team& team;
    size_t &used, bytes;
    ~Release() {
      const auto lock = team.lock();
      used -= bytes;
      team.notify();
    }
  } release{*team, used_, bytes};
  job();
}

void Workers::run(const std::string& subject, size_t bytes, const std::function<void()>& job) {
  if (gpus_) {
    gpus_->run(subject, bytes, job);
  } else {
    run_on_host(bytes, job);
  }
}

}  // namespace gyro::device
