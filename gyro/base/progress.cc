#include "gyro/base/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace gyro {

std::string format_duration(double seconds) {
  const auto s = std::lround(seconds);
  if (s < 60) return fmt::format("{} s", s);
  if (s < 3600) return fmt::format("{} min {:02} s", s / 60, s % 60);
  return fmt::format("{} h {:02} min", s / 3600, s % 3600 / 60);
}

Progress::Progress(std::string noun, int items, double total_work, bool enabled)
    : noun_(std::move(noun)),
      items_(items),
      total_work_(total_work),
      enabled_(enabled && isatty(STDERR_FILENO) == 1),
      start_(std::chrono::steady_clock::now()),
      drawn_(start_) {
  if (enabled_) draw(start_);
}

Progress::~Progress() {
  if (enabled_) fmt::print(stderr, "\r\033[K");
}

void Progress::advance(int items, double work) {
  if (!enabled_) return;
  const std::lock_guard lock(mutex_);
  done_ += items;
  work_ += work;
  const auto now = std::chrono::steady_clock::now();
  if (now - drawn_ < std::chrono::milliseconds(100)) return;
  drawn_ = now;
  draw(now);
}

void Progress::draw(std::chrono::steady_clock::time_point now) {
  constexpr int kWidth = 24;
  const double seconds = std::chrono::duration<double>(now - start_).count();
  const double share = std::clamp(work_ / std::max(total_work_, 1e-300), 0.0, 1.0);
  const int filled = static_cast<int>(share * kWidth);
  const std::string left =
      share > 0 ? fmt::format("{:.1f}/s  {} left", done_ / seconds, format_duration(seconds * (1 - share) / share))
                : "";
  fmt::print(stderr, "\r\033[K  [{:#<{}}{:.<{}}] {}/{} {}  {}", "", filled, "", kWidth - filled, done_, items_, noun_,
             left);
  std::fflush(stderr);
}

}  // namespace gyro
