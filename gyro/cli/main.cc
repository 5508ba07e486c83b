#include <fmt/format.h>

#include <cstdio>
#include <exception>
#include <new>
#include <string>
#include <string_view>

#include "gyro/base/error.h"
#include "gyro/base/version.h"
#include "gyro/cli/commands.h"
#include "gyro/linalg/linalg.h"

namespace {

std::string version_text() {
  std::string text = fmt::format("gyro {}", gyro::version());
  if (!gyro::git_id().empty()) text += fmt::format(" ({})", gyro::git_id());
  text += fmt::format("\n  cpu   {}", gyro::linalg::library());
  const std::vector<gyro::device::Gpu> gpus = gyro::device::gpus();
  if (gpus.empty()) return text + "\n  cuda  " + gyro::device::why_none();
  for (const gyro::device::Gpu& gpu : gpus) {
    text += fmt::format("\n  cuda  {}, {:.0f} GiB, CUDA {}", gpu.name, static_cast<double>(gpu.total) / 0x1p30,
                        gpu.version);
  }
  return text;
}

std::string quote(std::string_view word) {
  const bool plain = !word.empty() && word.find_first_not_of(
                                          "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                          "0123456789-_./=,:@+") == std::string_view::npos;
  if (plain) return std::string(word);
  std::string out = "'";
  for (const char c : word) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

std::string typed = "gyro";

}  // namespace

const std::string& gyro::command_line() {
  return typed;
}

namespace {

int run(int argc, char** argv) {
  CLI::App app{"gyro: what post-training did to a language model's weights, and what of it is more than chance."};
  app.require_subcommand(1);
  app.set_version_flag("--version", version_text, "Print the version and what is in this build");
  app.footer("gyro COMMAND --help shows a command's options and examples.");
  for (int i = 1; i < argc; ++i) typed += " " + quote(argv[i]);
  int exit_code = gyro::kDone;
  gyro::add_diff_command(app, exit_code);
  gyro::add_report_command(app, exit_code);
  gyro::add_build_command(app, exit_code);
  gyro::add_init_command(app, exit_code);
  gyro::add_lora_command(app, exit_code);
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
  } catch (const std::exception& error) {
    if (std::ferror(stdout) == 0) return fail_with(error.what());
  }
  // Whatever a command prints may still be in the buffer, or have failed on its way out of it.
  const bool written = std::fflush(stdout) == 0 && std::ferror(stdout) == 0;
  return written ? exit_code : fail_with("standard output: cannot write");
}
