#pragma once

#include <atomic>
#include <condition_variable>
#include <exception>
#include <functional>
#include <list>
#include <mutex>

namespace gyro {

/// The threads of one parallel run, and the lock under which it keeps its state. A thread that must wait for another
/// helps meanwhile: threads offer parts of what they are at (share), and do alone what nobody takes.
class Team {
 public:
  Team() = default;
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;

  std::unique_lock<std::mutex> lock() { return std::unique_lock(mutex_); }
  /// Lets go of the lock, helps or sleeps, takes the lock again and returns: at the latest after the next notify, so
  /// `while (!condition) team.wait(lock)`.
  void wait(std::unique_lock<std::mutex>& lock);
  /// To be called, with the lock held, when a condition that others wait for may have come true.
  void notify();

  /// Threads that wait.
  int idle() const { return idle_.load(std::memory_order_relaxed); }
  /// Calls part(0) ... part(parts − 1), on this thread and those that wait, and returns when all have ended. Throws the
  /// first exception of a part. Without the lock.
  void share(int parts, const std::function<void(int)>& part);

 private:
  struct Task {
    const std::function<void(int)>& part;
    const int parts;
    std::atomic<int> next{0}, left;
    std::atomic<int> visitors{0};  // helpers that may still look at the task
    std::exception_ptr error;
    std::mutex mutex;
  };
  static void take_parts(Task& task);
  Task* visit();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::list<Task*> tasks_;
  std::atomic<unsigned> changes_{0};  // notices so far, written under the lock
  std::atomic<int> idle_{0};
};

/// While it lives, the calling thread belongs to a team (or, with nullptr, to none).
class TeamMember {
 public:
  explicit TeamMember(Team* team);
  ~TeamMember();
  TeamMember(const TeamMember&) = delete;
  TeamMember& operator=(const TeamMember&) = delete;

 private:
  Team* before_;
};

/// The calling thread's team, or nullptr.
Team* current_team();

/// Threads that would take parts of a share now, the calling one included: at least 1.
int threads_to_share();
/// Team::share of the calling thread's team; where nobody waits, the parts one after the other.
void share(int parts, const std::function<void(int)>& part);

}  // namespace gyro
