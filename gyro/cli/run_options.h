#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "gyro/base/run_options.h"
#include "gyro/cli/interrupt.h"

namespace gyro {

/// How a user says how a command may use the machine.
struct RunArguments {
  std::string device = "cpu", memory;
  int threads = 0;
  bool quiet = false;
};

/// Adds --device, --threads, --memory and --quiet.
void add_run_options(CLI::App& command, RunArguments& arguments);

/// What they mean. From here on Ctrl-C ends work in order (catch_interrupts, with what is then said to be left). Warns
/// on stderr where the linear algebra library makes little of this processor. Throws Error for --device cuda where
/// there is no GPU, CLI::ValidationError for a size that is none.
RunOptions run_options(const RunArguments& arguments, const std::string& when_interrupted = kNothingWritten);

}  // namespace gyro
