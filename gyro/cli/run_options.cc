#include "gyro/cli/run_options.h"

#include <fmt/format.h>

#include "gyro/cli/interrupt.h"
#include "gyro/cli/parse.h"
#include "gyro/cli/progress.h"
#include "gyro/linalg/linalg.h"

namespace gyro {
namespace {

bool wants_cuda(const std::string& device) {
  if (device == "cuda") return !device::require_gpus().empty();
  return device == "auto" && !device::gpus().empty();
}

}  // namespace

void add_run_options(CLI::App& command, RunArguments& arguments) {
  command
      .add_option("--device", arguments.device,
                  "Where to compute: cpu, cuda (every GPU that CUDA_VISIBLE_DEVICES leaves), auto")
      ->check(CLI::IsMember({"cpu", "cuda", "auto"}))
      ->capture_default_str();
  command
      .add_option("-t,--threads", arguments.threads,
                  "Threads, each with a matrix of its own while there are enough [all processors]")
      ->check(CLI::Range(1, 4096));
  command.add_option("--memory", arguments.memory,
                     "Memory that matrices may take at once, such as 8GB: fewer are worked on where it is little "
                     "[80 % of what is free]");
  command.add_flag("-q,--quiet", arguments.quiet, "Print nothing but errors");
}

RunOptions run_options(const RunArguments& arguments, const std::string& when_interrupted) {
  RunOptions options;
  options.cuda = wants_cuda(arguments.device);
  options.threads = arguments.threads;
  if (!arguments.memory.empty()) options.memory = parse_size("--memory", arguments.memory);
  if (!arguments.quiet) options.progress = terminal_progress();
  options.stop = interrupted;
  const std::string warning = linalg::library_warning();
  if (!warning.empty() && !arguments.quiet) fmt::print(stderr, "gyro: warning: {}\n", warning);
  catch_interrupts(when_interrupted);
  return options;
}

}  // namespace gyro
