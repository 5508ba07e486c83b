#include "gyro/cli/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>

namespace gyro {

std::string format_duration(double seconds) {
  const auto s = std::lround(seconds);
  if (s < 60) return fmt::format("{} s", s);
  if (s < 3600) return fmt::format("{} min {:02} s", s / 60, s % 60);
  return fmt::format("{} h {:02} min", s / 3600, s % 3600 / 60);
}

std::string progress_line(const ProgressState& state) {
  constexpr int kWidth = 24;
  const int filled = static_cast<int>(state.share * kWidth);
  const std::string left = state.share > 0
                               ? fmt::format("{:.1f}/s  {} left", state.done / state.seconds,
                                             format_duration(state.seconds * (1 - state.share) / state.share))
                               : "";
  return fmt::format("[{:#<{}}{:.<{}}] {}/{} {}  {}", "", filled, "", kWidth - filled, state.done, state.items,
                     state.noun, left);
}

ProgressSink terminal_progress() {
  if (isatty(STDERR_FILENO) != 1) return nullptr;
  return [](const ProgressState& state) {
    fmt::print(stderr, "\r\033[K{}", state.ended ? "" : "  " + progress_line(state));
    std::fflush(stderr);
  };
}

}  // namespace gyro
