#include <fmt/format.h>

#include <cstdio>
#include <exception>
#include <new>
#include <string_view>

#include "gyro/base/error.h"
#include "gyro/cli/commands.h"
#include "gyro/cli/error_line.h"

namespace {

int run(int argc, char** argv) {
  CLI::App app;
  int exit_code = gyro::kDone;
  gyro::keep_command_line(argc, argv);
  gyro::add_commands(app, exit_code);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
    fmt::print(stderr, "gyro: {}\nTry 'gyro {}--help'.\n", gyro::printable(error.what()),
               app.get_subcommands().empty() ? "" : app.get_subcommands().front()->get_name() + " ");
    return gyro::kUsage;
  }
  return exit_code;
}

int fail_with(std::string_view line) {
  fmt::print(stderr, "gyro: error: {}\n", line);
  return gyro::kFailed;
}

}  // namespace

int main(int argc, char** argv) {
  int exit_code = gyro::kFailed;
  try {
    exit_code = run(argc, argv);
  } catch (const std::bad_alloc&) {
    return fail_with("memory: not enough for these matrices; try fewer --threads");
  } catch (const gyro::Error& error) {
    if (std::ferror(stdout) == 0) return fail_with(gyro::error_line(error));
  } catch (const std::exception& error) {
    if (std::ferror(stdout) == 0) return fail_with(error.what());
  }
  // Whatever a command prints may still be in the buffer, or have failed on its way out of it.
  const bool written = std::fflush(stdout) == 0 && std::ferror(stdout) == 0;
  return written ? exit_code : fail_with("standard output: cannot write");
}
