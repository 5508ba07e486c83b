#include "gyro/cli/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <memory>

#include "gyro/base/utf8.h"
#include "gyro/cli/terminal.h"

namespace gyro {
namespace {

constexpr double kLogEvery = 60;  // seconds

std::string bar(double share, int width) {
  const int filled = static_cast<int>(share * width);
  return fmt::format("[{:#<{}}{:.<{}}]", "", filled, "", width - filled);
}

ProgressSink terminal_line() {
  return [](const ProgressState& state) {
    const size_t width = terminal_of(STDERR_FILENO).width;  // it may have changed
    fmt::print(stderr, "\r\033[K{}", state.ended ? "" : progress_line(state, width - 1));
    std::fflush(stderr);
  };
}

ProgressSink log_lines() {
  return [next = kLogEvery](const ProgressState& state) mutable {
    if (state.ended || state.seconds < next) return;
    next = state.seconds + kLogEvery;
    fmt::print(stderr, "gyro: {}\n", progress_line(state, 200));
    std::fflush(stderr);
  };
}

}  // namespace

std::string format_duration(double seconds) {
  const auto s = std::lround(seconds);
  if (s < 60) return fmt::format("{} s", s);
  if (s < 3600) return fmt::format("{} min {:02} s", s / 60, s % 60);
  return fmt::format("{} h {:02} min", s / 3600, s % 3600 / 60);
}

std::string progress_line(const ProgressState& state, size_t width) {
  // The least that says something, then what else there is room for, what matters most first.
  std::string line = fmt::format("{}/{} {}", state.done, state.items, state.noun);
  const auto add = [&](const std::string& part) {
    if (columns_of(line) + 2 + columns_of(part) <= width) line += "  " + part;
  };
  if (state.share > 0 && state.seconds > 1)
    add(format_duration(state.seconds * (1 - state.share) / state.share) + " left");
  add(format_duration(state.seconds) + " so far");
  if (!state.item.empty()) add(std::string(state.item));
  constexpr size_t kBar = 24;
  if (columns_of(line) + kBar + 4 <= width) line = bar(state.share, kBar) + "  " + line;
  return std::string(first_columns(line, width));
}

ProgressSink stderr_progress() {
  return isatty(STDERR_FILENO) == 1 ? terminal_line() : log_lines();
}

}  // namespace gyro
