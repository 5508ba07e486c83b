#include "gyro/cli/run_command.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <new>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gyro/base/error.h"
#include "gyro/cli/commands.h"
#include "gyro/cli/error_line.h"
#include "gyro/cli/usage.h"

namespace gyro {
namespace {

int fail_with(std::string_view line) {
  fmt::print(stderr, "gyro: error: {}\n", line);
  return kFailed;
}

int wrong_usage(const CLI::App& app, std::string_view problem) {
  fail_with(printable(problem));
  fmt::print(stderr, "Try 'gyro {}--help'.\n", given_command(app).words);
  return kUsage;
}

int run(const std::vector<std::string>& arguments) {
  CLI::App app;
  int exit_code = kDone;
  keep_command_line(arguments);
  add_commands(app, exit_code);
  refuse_empty_values(app);
  std::vector<std::string> words = with_empty_values(app, meant_words(arguments));
  if (const auto problem = wrong_command(app, words)) return wrong_usage(app, *problem);
  std::reverse(words.begin(), words.end());  // as CLI11 wants them
  try {
    app.parse(std::move(words));
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
    return wrong_usage(app, usage_problem(app, error));
  }
  return exit_code;
}

}  // namespace

int run_command(const std::vector<std::string>& arguments) {
  int exit_code = kFailed;
  try {
    exit_code = run(arguments);
  } catch (const std::bad_alloc&) {
    return fail_with("memory: not enough for this; fewer --threads may need less");
  } catch (const Error& error) {
    if (std::ferror(stdout) == 0) return fail_with(error_line(error));
  } catch (const std::exception& error) {
    if (std::ferror(stdout) == 0) return fail_with(error.what());
  }
  // Whatever a command prints may still be in the buffer, or have failed on its way out of it.
  const bool written = std::fflush(stdout) == 0 && std::ferror(stdout) == 0;
  return written ? exit_code : fail_with("standard output: cannot write");
}

}  // namespace gyro
