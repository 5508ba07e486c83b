#pragma once

#include <chrono>
#include <mutex>
#include <string>

namespace gyro {

/// A one-line progress bar on stderr: items, rate and time left, redrawn at most ten times a second. Shows nothing
/// unless `enabled` and stderr is a terminal. Thread-safe.
class Progress {
 public:
  /// `total_work` is in any unit; items of unequal size report their own share of it.
  Progress(std::string noun, int items, double total_work, bool enabled);
  ~Progress();  ///< erases the line
  void advance(int items, double work);

 private:
  void draw(std::chrono::steady_clock::time_point now);

  std::string noun_;
  int items_;
  double total_work_;
  bool enabled_;
  int done_ = 0;
  double work_ = 0;
  std::chrono::steady_clock::time_point start_, drawn_;
  std::mutex mutex_;
};

/// "42 s", "3 min 05 s", "2 h 10 min".
std::string format_duration(double seconds);

}  // namespace gyro
