// Writes the man page and the shells' completions into a folder, from the commands as the program defines them. A part
// of the build, not of what is installed.

#include <fmt/format.h>

#include <filesystem>

#include "gyro/base/error.h"
#include "gyro/base/file.h"
#include "gyro/cli/commands.h"
#include "gyro/cli/reference/tree.h"

int main(int argc, char** argv) {
  if (argc != 2) return gyro::kUsage;
  CLI::App app;
  int unused = 0;
  gyro::add_commands(app, unused);
  try {
    const auto tree = gyro::command_tree(app);
    const std::filesystem::path out = argv[1];
    std::filesystem::create_directories(out);
    gyro::write_file_atomically(out / "gyro", gyro::bash_completion(tree));
    gyro::write_file_atomically(out / "_gyro", gyro::zsh_completion(tree));
    gyro::write_file_atomically(out / "gyro.fish", gyro::fish_completion(tree));
    gyro::write_file_atomically(out / "gyro.1", gyro::man_page(tree));
  } catch (const std::exception& error) {
    fmt::print(stderr, "gyro_reference: {}\n", error.what());
    return gyro::kFailed;
  }
  return gyro::kDone;
}
