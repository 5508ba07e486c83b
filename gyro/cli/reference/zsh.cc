#include <fmt/format.h>

#include "gyro/cli/reference/tree.h"

namespace gyro {
namespace {

// Within single quotes of _arguments' and _describe's specifications.
std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '\'') {
      out += "'\\''";
    } else {
      if (c == '[' || c == ']' || c == ':' || c == '\\') out += '\\';
      out += c;
    }
  }
  return out;
}

std::string action(const OptionInfo& option) {
  switch (option.takes) {
    case Takes::Nothing:
      return "";
    case Takes::Choice:
      return fmt::format(":word:({})", fmt::join(option.choices, " "));
    case Takes::Number:
      return ":number: ";
    case Takes::Text:
      return ":text: ";
    case Takes::Folder:
      return ":folder:_files -/";
    case Takes::File:
      return ":file:_files";
  }
  return "";
}

// '(-o --out)'{-o,--out}'[description]:folder:_files -/'
std::string specification(const OptionInfo& option) {
  const std::string text = fmt::format("[{}]{}'", escaped(option.description), action(option));
  const std::string many = option.repeated ? "*" : "";
  if (option.names.size() == 1) return fmt::format("'{}{}{}", many, option.names[0], text);
  const std::string list = fmt::format("{{{}}}", fmt::join(option.names, ","));
  if (option.repeated) return fmt::format("'*'{}'{}", list, text);
  return fmt::format("'({})'{}'{}", fmt::join(option.names, " "), list, text);
}

std::string positional(const OptionInfo& option, size_t number) {
  const std::string place = option.repeated ? "*" : std::to_string(number);
  const std::string what = action(option);
  return fmt::format("'{}:{}{}'", place, option.names[0], what.substr(what.find(':', 1)));
}

std::string function_of(const CommandInfo& command) {
  std::string out = "_gyro_" + command.name;
  if (command.name.empty()) out.pop_back();
  for (char& c : out) c = c == ' ' ? '_' : c;
  return out;
}

std::string arguments(const CommandInfo& command) {
  std::string out = fmt::format("        {})\n          ", command.word());
  if (!command.commands.empty()) return out + function_of(command) + "\n          ;;\n";
  out += "_arguments";
  for (const OptionInfo& option : command.options) out += " \\\n            " + specification(option);
  size_t number = 0;
  for (const OptionInfo& option : command.positionals) out += " \\\n            " + positional(option, ++number);
  return out + "\n          ;;\n";
}

constexpr const char* kFunction = R"({function}() {{
  local curcontext=$curcontext context state line
  typeset -A opt_args
  local -a commands=(
{commands}  )
  _arguments -C{options} \
    '1:command:->command' \
    '*::argument:->arguments'
  case $state in
    command) _describe -t commands command commands ;;
    arguments)
      case $words[1] in
{arguments}      esac
      ;;
  esac
}}
)";

// Of a command that has commands below it.
std::string function(const CommandInfo& command) {
  std::string commands, options, all;
  for (const OptionInfo& option : command.options) options += " \\\n    " + specification(option);
  for (const CommandInfo& below : command.commands) {
    commands += fmt::format("    '{}:{}'\n", below.word(), escaped(below.description));
    all += arguments(below);
  }
  return fmt::format(fmt::runtime(kFunction), fmt::arg("function", function_of(command)),
                     fmt::arg("commands", commands), fmt::arg("options", options), fmt::arg("arguments", all));
}

}  // namespace

std::string zsh_completion(const std::vector<CommandInfo>& tree) {
  std::string out = "#compdef gyro\n";
  for (const CommandInfo& command : tree) {
    if (!command.commands.empty()) out += function(command);
  }
  return out + "_gyro \"$@\"\n";
}

}  // namespace gyro
