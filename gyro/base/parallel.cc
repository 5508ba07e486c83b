#include "gyro/base/parallel.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>

#include "gyro/base/team.h"

namespace gyro {
namespace {

// Runs `work` on so many threads, this one included, as one team, and returns when all have ended.
void on_threads(Team& team, int threads, const std::function<void()>& work) {
  const auto as_member = [&] {
    const TeamMember member(&team);
    work();
  };
  std::vector<std::jthread> others;
  for (int t = 1; t < threads; ++t) others.emplace_back(as_member);
  as_member();
}

// The state of one parallel_for, under the team's lock where it is not atomic.
struct ForRun {
  explicit ForRun(const std::function<bool()>& stop) : team(stop) {}
  Team team;
  std::atomic<int> next = 0, done = 0;
  int busy = 0;  // threads that still do jobs of their own
  std::exception_ptr error;
};

void do_jobs(ForRun& run, int count, const std::function<void(int)>& job) {
  try {
    while (!run.team.asked_to_stop()) {
      const int i = run.next++;
      if (i >= count) return;
      job(i);
      ++run.done;
    }
  } catch (const Stopped&) {  // the run is over
  } catch (...) {
    const auto lock = run.team.lock();
    if (!run.error) run.error = std::current_exception();
    run.team.end();
  }
}

// The state of one ordered_parallel. Each thread runs work(); everything but the callbacks is under the team's lock.
class OrderedRun {
 public:
  OrderedRun(int count, int window, const std::function<void(int)>& produce, const std::function<void(int)>& consume,
             const std::function<bool()>& stop)
      : count_(count), produce_(produce), consume_(consume), team_(stop), finished_(static_cast<size_t>(window)) {}

  void work() {
    auto lock = team_.lock();
    while (!team_.ended() && consumed_ < count_) {
      if (!consuming_ && finished(consumed_)) {
        consume_next(lock);
      } else if (begun_ < std::min(count_, consumed_ + static_cast<int>(finished_.size()))) {
        produce_next(lock);
      } else {
        team_.wait(lock);
      }
    }
  }

  Team& team() { return team_; }

  // Once all threads have left work(): whether all was done. Throws what a callback threw.
  bool outcome() const {
    if (error_) std::rethrow_exception(error_);
    return consumed_ == count_;
  }

 private:
  std::vector<bool>::reference finished(int i) { return finished_[static_cast<size_t>(i) % finished_.size()]; }

  // Calls a callback without the lock; false if it threw, which ends the run.
  bool call(std::unique_lock<std::mutex>& lock, const std::function<void()>& callback) {
    std::exception_ptr error;
    bool stopped = false;
    lock.unlock();
    try {
      callback();
    } catch (const Stopped&) {
      stopped = true;
    } catch (...) {
      error = std::current_exception();
    }
    lock.lock();
    if (!error && !stopped) return true;
    if (!error_) error_ = error;
    end();
    return false;
  }

  void consume_next(std::unique_lock<std::mutex>& lock) {
    const int i = consumed_;
    consuming_ = true;
    const bool done = call(lock, [&] { consume_(i); });
    consuming_ = false;
    if (!done) return;
    finished(i) = false;
    ++consumed_;
    team_.notify();
  }

  // No notice is needed afterwards: this thread looks next whether something is due to be consumed.
  void produce_next(std::unique_lock<std::mutex>& lock) {
    const int i = begun_++;
    const bool done = call(lock, [&] {
      if (team_.asked_to_stop()) throw Stopped{};
      produce_(i);
    });
    if (done) finished(i) = true;
  }

  void end() {
    team_.end();
    team_.notify();
  }

  const int count_;
  const std::function<void(int)>& produce_;
  const std::function<void(int)>& consume_;
  Team team_;
  int begun_ = 0, consumed_ = 0;
  bool consuming_ = false;
  std::vector<bool> finished_;  // by place: produced and not yet consumed
  std::exception_ptr error_;
};

}  // namespace

bool parallel_for(int count, int threads, const std::function<void(int)>& job, const std::function<bool()>& stop) {
  ForRun run(stop);
  run.busy = count > 0 ? std::max(1, threads) : 1;
  on_threads(run.team, run.busy, [&] {
    do_jobs(run, count, job);
    auto lock = run.team.lock();
    --run.busy;
    run.team.notify();
    while (run.busy > 0) run.team.wait(lock);
  });
  if (run.error) std::rethrow_exception(run.error);
  return run.done == count;
}

int ordered_window(int threads) {
  const int at_once = std::max(threads, 1);
  return at_once + at_once / 2 + 1;
}

bool ordered_parallel_places(int count, int threads, const std::function<void(int)>& produce,
                             const std::function<void(int)>& consume, const std::function<bool()>& stop) {
  OrderedRun run(count, ordered_window(threads), produce, consume, stop);
  on_threads(run.team(), count > 0 ? threads : 1, [&] { run.work(); });
  return run.outcome();
}

}  // namespace gyro
