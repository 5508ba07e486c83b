#include "gyro/base/team.h"

#include <chrono>
#include <thread>

namespace gyro {
namespace {

thread_local Team* team_of_thread = nullptr;

// How long a thread without work looks for some before it sleeps: waking one up takes longer than many a part.
constexpr std::chrono::microseconds kLookout{200};

// How often `stop` is asked in the middle of jobs.
constexpr std::chrono::milliseconds kPatience{100};

std::atomic<int> stoppable_teams = 0;

}  // namespace

Team::Team(const std::function<bool()>& stop) : stop_(stop) {
  if (stop_) ++stoppable_teams;
}

Team::~Team() {
  if (stop_) --stoppable_teams;
}

int Team::at_work() {
  return stoppable_teams;
}

void Team::take_parts(Task& task) {
  for (int i = task.next++; i < task.parts; i = task.next++) {
    try {
      task.part(i);
    } catch (...) {
      const std::lock_guard lock(task.mutex);
      if (!task.error) task.error = std::current_exception();
    }
    task.left.fetch_sub(1, std::memory_order_release);
  }
}

// A task with parts left, registered as visited; nullptr if there is none.
Team::Task* Team::visit() {
  for (Task* task : tasks_) {
    if (task->next >= task->parts) continue;
    ++task->visitors;
    return task;
  }
  return nullptr;
}

void Team::wait(std::unique_lock<std::mutex>& lock) {
  if (Task* task = visit()) {
    lock.unlock();
    take_parts(*task);
    task->visitors.fetch_sub(1, std::memory_order_release);  // the task may be gone from here on
    lock.lock();
    return;
  }
  ++idle_;
  const unsigned seen = changes_;
  lock.unlock();
  const auto end = std::chrono::steady_clock::now() + kLookout;
  while (changes_.load(std::memory_order_relaxed) == seen && std::chrono::steady_clock::now() < end) {
    std::this_thread::yield();
  }
  lock.lock();
  if (changes_ == seen) changed_.wait(lock);
  --idle_;
}

void Team::notify() {
  ++changes_;
  changed_.notify_all();
}

void Team::share(int parts, const std::function<void(int)>& part) {
  Task task{part, parts, 0, parts, 0, nullptr, {}};
  std::list<Task*>::iterator place;
  {
    const std::lock_guard lock(mutex_);
    place = tasks_.insert(tasks_.end(), &task);
    notify();
  }
  take_parts(task);
  {
    const std::lock_guard lock(mutex_);
    tasks_.erase(place);
  }
  while (task.left.load(std::memory_order_acquire) > 0 || task.visitors.load(std::memory_order_acquire) > 0) {
    std::this_thread::yield();
  }
  if (task.error) std::rethrow_exception(task.error);
}

bool Team::asked_to_stop() {
  asked_ = Clock::now().time_since_epoch().count();
  if (stop_ && stop_()) end();
  return ended_;
}

void Team::check_stop() {
  if (!ended_ && stop_) {
    auto before = asked_.load(std::memory_order_relaxed);
    const auto now = Clock::now().time_since_epoch();
    if (now - Clock::duration(before) < kPatience || !asked_.compare_exchange_strong(before, now.count())) return;
    if (stop_()) end();
  }
  if (ended_) throw Stopped{};
}

TeamMember::TeamMember(Team* team) : before_(team_of_thread) {
  team_of_thread = team;
}

TeamMember::~TeamMember() {
  team_of_thread = before_;
}

Team* current_team() {
  return team_of_thread;
}

void check_stop() {
  if (team_of_thread != nullptr) team_of_thread->check_stop();
}

int threads_to_share() {
  return team_of_thread == nullptr ? 1 : 1 + team_of_thread->idle();
}

void share(int parts, const std::function<void(int)>& part) {
  if (parts > 1 && threads_to_share() > 1) return team_of_thread->share(parts, part);
  for (int i = 0; i < parts; ++i) part(i);
}

}  // namespace gyro
