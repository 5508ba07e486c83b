#pragma once

#include <CLI/CLI.hpp>

namespace gyro {

/// Exit codes of the contract: done, failed; 2 is wrong usage, which the parser returns.
inline constexpr int kDone = 0;
inline constexpr int kFailed = 1;
inline constexpr int kUsage = 2;
inline constexpr int kInterrupted = 130;

/// Each adds its subcommand to `app`; `exit_code` is what it ends with.
void add_diff_command(CLI::App& app, int& exit_code);

}  // namespace gyro
