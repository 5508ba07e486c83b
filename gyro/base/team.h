#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <functional>
#include <list>
#include <mutex>

namespace gyro {

/// Thrown out of a job whose run has been stopped in the middle of it. The run takes it for its end, not for an error.
struct Stopped {};

/// The threads of one parallel run, and the lock under which it keeps its state. A thread that must wait for another
/// helps meanwhile: threads offer parts of what they are at (share), and do alone what nobody takes.
class Team {
 public:
  /// `stop` (may be empty) says that the run is to end; it outlives the team.
  explicit Team(const std::function<bool()>& stop);
  ~Team();
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;

  /// How many teams with a `stop` there are in the process.
  static int at_work();

  std::unique_lock<std::mutex> lock() { return std::unique_lock(mutex_); }
  /// Lets go of the lock, helps or sleeps, takes the lock again and returns: at the latest after the next notify, so
  /// `while (!condition) team.wait(lock)`.
  void wait(std::unique_lock<std::mutex>& lock);
  /// To be called, with the lock held, when a condition that others wait for may have come true.
  void notify();

  /// Asks `stop` if there is one, on the calling thread; true from the first yes on, and after end(). Throws what it
  /// throws.
  bool asked_to_stop();
  /// The run is over for whatever reason: jobs at work are to give up at their next check_stop.
  void end() { ended_ = true; }
  bool ended() const { return ended_; }
  /// See gyro::check_stop.
  void check_stop();

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

  using Clock = std::chrono::steady_clock;
  const std::function<bool()>& stop_;
  std::atomic<bool> ended_ = false;
  std::atomic<Clock::rep> asked_ = Clock::now().time_since_epoch().count();  // when stop_ was asked last
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

/// To be called every few tens of milliseconds within long work: throws Stopped when the run that the calling thread
/// works for is over, or when its `stop`, asked ten times a second at most, says that it is to end. Throws what `stop`
/// throws.
void check_stop();

/// Threads that would take parts of a share now, the calling one included: at least 1.
int threads_to_share();
/// Team::share of the calling thread's team; where nobody waits, the parts one after the other.
void share(int parts, const std::function<void(int)>& part);

}  // namespace gyro
