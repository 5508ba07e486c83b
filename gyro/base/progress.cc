#include "gyro/base/progress.h"

#include <algorithm>
#include <utility>

namespace gyro {
namespace {

constexpr std::chrono::milliseconds kShort{100}, kLong{1000};

}  // namespace

Progress::Progress(std::string noun, int items, double total_work, ProgressSink sink)
    : noun_(std::move(noun)),
      items_(items),
      total_work_(total_work),
      sink_(std::move(sink)),
      start_(Clock::now()),
      told_(start_) {
  tell(start_, false);
  if (sink_) clock_ = std::thread([this] { keep_telling(); });
}

Progress::~Progress() {
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
  }
  end_.notify_all();
  if (clock_.joinable()) clock_.join();
  try {
    tell(Clock::now(), true);
  } catch (...) {  // a sink that fails at the end changes nothing of what was done
  }
}

void Progress::begin(std::string item) {
  const std::lock_guard lock(mutex_);
  item_ = std::move(item);
  changed();
}

void Progress::advance(int items, double work) {
  const std::lock_guard lock(mutex_);
  done_ += items;
  work_ += work;
  changed();
}

void Progress::changed() {
  const auto now = Clock::now();
  if (now - told_ < kShort) return;
  told_ = now;
  tell(now, false);
}

void Progress::keep_telling() {
  std::unique_lock lock(mutex_);
  while (!end_.wait_for(lock, kLong, [&] { return ended_; })) {
    const auto now = Clock::now();
    if (now - told_ < kLong) continue;
    told_ = now;
    try {
      tell(now, false);
    } catch (...) {  // a sink that fails says so again to whoever advances next
    }
  }
}

void Progress::tell(Clock::time_point now, bool ended) {
  if (!sink_) return;
  const double share = std::clamp(work_ / std::max(total_work_, 1e-300), 0.0, 1.0);
  sink_({noun_, done_, items_, share, std::chrono::duration<double>(now - start_).count(), ended, item_});
}

}  // namespace gyro
