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

std::string names_of(const std::vector<CommandInfo>& commands) {
  std::string out;
  for (const CommandInfo& command : commands) out += (out.empty() ? "" : " ") + command.word();
  return out;
}

std::string arguments(const CommandInfo& command, const std::string& where) {
  std::string out;
  for (const OptionInfo& option : command.options) out += line(where, option);
  for (const OptionInfo& option : command.positionals) {
    if (option.takes == Takes::Choice) out += fmt::format("complete -c gyro{}{}\n", where, value(option));
  }
  return out + fmt::format("complete -c gyro{} -a '(__fish_complete_directories)'\n", where);
}

// The commands below one and all of theirs; `typed`: the condition that its words were typed.
std::string below(const CommandInfo& above, const std::string& typed) {
  const std::string none = fmt::format("not __fish_seen_subcommand_from {}", names_of(above.commands));
  const std::string where = typed.empty() ? " -n __fish_use_subcommand" : fmt::format(" -n '{}; and {}'", typed, none);
  std::string out;
  for (const OptionInfo& option : above.options) out += line(where, option);
  for (const CommandInfo& command : above.commands) {
    out += fmt::format("complete -c gyro{} -a {} -d {}\n", where, command.word(), quoted(command.description));
    const std::string seen =
        fmt::format("{}__fish_seen_subcommand_from {}", typed.empty() ? "" : typed + "; and ", command.word());
    out += command.commands.empty() ? arguments(command, fmt::format(" -n '{}'", seen)) : below(command, seen);
  }
  return out;
}

}  // namespace

std::string fish_completion(const std::vector<CommandInfo>& tree) {
  return "# fish completion of gyro\ncomplete -c gyro -f\n" + below(tree.front(), "");
}

}  // namespace gyro
