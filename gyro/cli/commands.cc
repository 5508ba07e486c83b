#include "gyro/cli/commands.h"

#include <fmt/format.h>

#include "gyro/base/version.h"
#include "gyro/infer/library.h"
#include "gyro/linalg/linalg.h"

namespace gyro {
namespace {

#if defined(__clang__)
constexpr const char* kCompiler = "Clang " __clang_version__;
#else
constexpr const char* kCompiler = "GCC " __VERSION__;
#endif

std::string version_text() {
  std::string text = fmt::format("gyro {}", version());
  if (!git_id().empty()) text += fmt::format(" ({})", git_id());
  text += fmt::format(", built by {}", kCompiler);
  text += fmt::format("\n  cpu   {}", linalg::library());
  if (const std::string warning = linalg::library_warning(); !warning.empty()) text += "\n        " + warning;
  text += "\n  llama " + infer_library();
  const std::vector<device::Gpu> gpus = device::gpus();
  if (gpus.empty()) return text + "\n  cuda  " + device::why_none();
  for (const device::Gpu& gpu : gpus) {
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

const std::string& command_line() {
  return typed;
}

void keep_command_line(const std::vector<std::string>& words) {
  typed = typed_line(words);
}

std::string typed_line(const std::vector<std::string>& words) {
  std::string line = "gyro";
  for (const std::string& word : words) line += " " + quote(word);
  return line;
}

void add_commands(CLI::App& app, int& exit_code) {
  app.name("gyro");
  app.description("gyro: what post-training did to a language model's weights, and what of it is more than chance.");
  app.require_subcommand(1);
  app.get_formatter()->label("SUBCOMMAND", "COMMAND");
  app.get_formatter()->label("Subcommands", "Commands");
  app.set_version_flag("--version", version_text, "Print the version and what is in this build");
  app.footer("gyro COMMAND --help shows a command's options and examples.");
  add_diff_command(app, exit_code);
  add_info_command(app, exit_code);
  add_report_command(app, exit_code);
  add_build_command(app, exit_code);
  add_init_command(app, exit_code);
  add_lora_command(app, exit_code);
  add_chat_command(app, exit_code);
  add_perplexity_command(app, exit_code);
  add_grade_command(app, exit_code);
  add_eval_command(app, exit_code);
  add_probe_command(app, exit_code);
  add_study_command(app, exit_code);
}

}  // namespace gyro
