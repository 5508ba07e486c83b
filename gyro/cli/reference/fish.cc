#include <fmt/format.h>

#include "gyro/cli/reference/tree.h"

namespace gyro {
namespace {

std::string quoted(const std::string& text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') out += '\\';
    out += c;
  }
  return out + "'";
}

std::string value(const OptionInfo& option) {
  switch (option.takes) {
    case Takes::Nothing:
      return "";
    case Takes::Choice:
      return fmt::format(" -x -a '{}'", fmt::join(option.choices, " "));
    case Takes::Number:
    case Takes::Text:
      return " -x";
    case Takes::Folder:
      return " -x -a '(__fish_complete_directories)'";
    case Takes::File:
      return " -r -F";
  }
  return "";
}

std::string line(const std::string& where, const OptionInfo& option) {
  std::string out = "complete -c gyro" + where;
  for (const std::string& name : option.names) {
    out += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
  }
  return out + value(option) + " -d " + quoted(option.description) + "\n";
}

}  // namespace

std::string fish_completion(const std::vector<CommandInfo>& tree) {
  std::string out = "# fish completion of gyro\ncomplete -c gyro -f\n";
  for (const OptionInfo& option : tree.front().options) out += line(" -n __fish_use_subcommand", option);
  for (size_t i = 1; i < tree.size(); ++i) {
    const CommandInfo& command = tree[i];
    out += fmt::format("complete -c gyro -n __fish_use_subcommand -a {} -d {}\n", command.name,
                       quoted(command.description));
    const std::string where = fmt::format(" -n '__fish_seen_subcommand_from {}'", command.name);
    for (const OptionInfo& option : command.options) out += line(where, option);
    for (const OptionInfo& option : command.positionals) {
      if (option.takes == Takes::Choice) out += fmt::format("complete -c gyro{}{}\n", where, value(option));
    }
    out += fmt::format("complete -c gyro{} -a '(__fish_complete_directories)'\n", where);
  }
  return out;
}

}  // namespace gyro
