#include "gyro/base/progress.h"

#include <algorithm>
#include <utility>

namespace gyro {

Progress::Progress(std::string noun, int items, double total_work, ProgressSink sink)
    : noun_(std::move(noun)),
      items_(items),
      total_work_(total_work),
      sink_(std::move(sink)),
      start_(Clock::now()),
      told_(start_) {
  tell(start_, false);
}

Progress::~Progress() {
  try {
    tell(Clock::now(), true);
  } catch (...) {  // a sink that fails at the end changes nothing of what was done
  }
}

void Progress::advance(int items, double work) {
  const std::lock_guard lock(mutex_);
  done_ += items;
  work_ += work;
  const auto now = Clock::now();
  if (now - told_ < std::chrono::milliseconds(100)) return;
  told_ = now;
  tell(now, false);
}

void Progress::tell(Clock::time_point now, bool ended) {
  if (!sink_) return;
  const double share = std::clamp(work_ / std::max(total_work_, 1e-300), 0.0, 1.0);
  sink_({noun_, done_, items_, share, std::chrono::duration<double>(now - start_).count(), ended});
}

}  // namespace gyro
