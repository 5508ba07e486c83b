#include "gyro/base/cleanup.h"

#include <mutex>
#include <utility>

namespace gyro {
namespace {

// Never destroyed: work may still be under way when the process ends.
struct Registry {
  std::mutex mutex;
  std::list<std::function<void()>> actions;  // the newest first
};

Registry& registry() {
  static auto& all = *new Registry;
  return all;
}

}  // namespace

Cleanup::Cleanup(std::function<void()> action) {
  const std::lock_guard lock(registry().mutex);
  place_ = registry().actions.insert(registry().actions.begin(), std::move(action));
}

Cleanup::~Cleanup() {
  const std::lock_guard lock(registry().mutex);
  registry().actions.erase(place_);
}

void clean_up() {
  registry().mutex.lock();
  for (const auto& action : registry().actions) action();
}

}  // namespace gyro
