#include "gyro/cli/reference/tree.h"

#include <algorithm>
#include <array>

namespace gyro {
namespace {

// "TEXT:{cpu,cuda,auto}" has the words that IsMember allows.
std::vector<std::string> choices_of(const std::string& type) {
  const size_t open = type.find('{'), close = type.rfind('}');
  if (open == type.npos || close == type.npos) return {};
  return CLI::detail::split(type.substr(open + 1, close - open - 1), ',');
}

Takes taken_by(const CLI::Option& option, const OptionInfo& info) {
  const std::string type = option.get_type_name();
  if (!option.get_positional() && option.get_items_expected_max() == 0) return Takes::Nothing;
  if (!info.choices.empty()) return Takes::Choice;
  if (type == "DIR") return Takes::Folder;
  if (type == "FILE" || type == "PATH" || type == "TASK") return Takes::File;
  constexpr std::array numbers = {"INT", "UINT", "FLOAT", "SECONDS"};
  const bool number = std::ranges::any_of(numbers, [&](const char* name) { return type.starts_with(name); });
  return number ? Takes::Number : Takes::Text;
}

OptionInfo option_info(const CLI::Option& option) {
  OptionInfo info;
  if (option.get_positional()) info.names.push_back(option.get_name(true));
  for (const std::string& name : option.get_snames()) info.names.push_back("-" + name);
  for (const std::string& name : option.get_lnames()) info.names.push_back("--" + name);
  info.description = option.get_description();
  info.fallback = option.get_default_str();
  info.choices = choices_of(option.get_type_name());
  info.takes = taken_by(option, info);
  info.required = option.get_required();
  info.repeated = option.get_items_expected_max() >= CLI::detail::expected_max_vector_size;
  return info;
}

// Indented lines of the footer are commands, the others sentences.
void add_footer(const std::string& footer, CommandInfo& info) {
  for (const std::string& line : CLI::detail::split(footer, '\n')) {
    if (line.starts_with("  ")) {
      info.examples.push_back(line.substr(2));
    } else if (!line.empty() && !line.starts_with("Example")) {
      info.notes.push_back(line);
    }
  }
}

CommandInfo command_info(const CLI::App& app, const std::string& name) {
  CommandInfo info{name, app.get_description(), {}, {}, {}, {}, {}};
  for (const CLI::Option* option : app.get_options()) {
    (option->get_positional() ? info.positionals : info.options).push_back(option_info(*option));
  }
  add_footer(app.get_footer(), info);
  for (const CLI::App* command : app.get_subcommands(nullptr)) {
    info.commands.push_back(command_info(*command, name + (name.empty() ? "" : " ") + command->get_name()));
  }
  return info;
}

void add_commands(const CommandInfo& info, std::vector<CommandInfo>& tree) {
  tree.push_back(info);
  for (const CommandInfo& command : info.commands) add_commands(command, tree);
}

}  // namespace

std::string OptionInfo::value() const {
  switch (takes) {
    case Takes::Nothing:
      return "";
    case Takes::Choice:
      return CLI::detail::join(choices, "|");
    case Takes::Number:
      return "N";
    case Takes::Text:
      return "TEXT";
    case Takes::Folder:
      return "DIR";
    case Takes::File:
      return "FILE";
  }
  return "";
}

std::vector<CommandInfo> command_tree(const CLI::App& app) {
  std::vector<CommandInfo> tree;
  add_commands(command_info(app, ""), tree);
  return tree;
}

}  // namespace gyro
