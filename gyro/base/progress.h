#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

namespace gyro {

/// How far a run has come.
struct ProgressState {
  std::string_view noun;  ///< what is counted: "matrices"
  int done = 0, items = 0;
  double share = 0;       ///< of the work, in [0, 1]: items are of unequal size
  double seconds = 0;     ///< since the run began
  bool ended = false;     ///< the last call, however the run ended
  std::string_view item;  ///< what was begun last; empty at first
};

/// Is told at the start, at most ten times a second while things change, once a second while they do not, and at the
/// end; on any thread, one call at a time.
using ProgressSink = std::function<void(const ProgressState&)>;

/// Counts the items of a run and tells a sink (which may be empty). Thread-safe.
class Progress {
 public:
  /// `total_work` is in any unit; items of unequal size report their own share of it.
  Progress(std::string noun, int items, double total_work, ProgressSink sink);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  /// An item of that name is being worked on.
  void begin(std::string item);
  void advance(int items, double work);

 private:
  using Clock = std::chrono::steady_clock;
  void tell(Clock::time_point now, bool ended);
  void changed();
  void keep_telling();

  std::string noun_, item_;
  int items_;
  double total_work_;
  ProgressSink sink_;
  int done_ = 0;
  double work_ = 0;
  Clock::time_point start_, told_;
  std::mutex mutex_;
  std::condition_variable end_;
  bool ended_ = false;
  std::thread clock_;  // tells when nothing changes
};

}  // namespace gyro
