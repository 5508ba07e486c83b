#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace gyro {

/// What an option takes: nothing, one of some words, a number, a text, or the name of a folder or file.
enum class Takes { Nothing, Choice, Number, Text, Folder, File };

/// One option or positional argument of a command.
struct OptionInfo {
  std::vector<std::string> names;  ///< "-o", "--out"; of a positional argument its name alone, "BASE"
  std::string description;
  std::string fallback;  ///< its value when it is not given, empty if none is named
  Takes takes = Takes::Nothing;
  std::vector<std::string> choices;  ///< of a Choice
  bool required = false;
  bool repeated = false;  ///< takes any number of values

  /// How usage lines call its value: "N", "DIR", ...; empty for Nothing.
  std::string value() const;
};

/// A command; one below another is called by both words, "probe attention". The program itself has an empty name.
struct CommandInfo {
  std::string name, description;
  std::vector<OptionInfo> positionals, options;
  std::vector<std::string> notes, examples;  ///< lines of the footer
  std::vector<CommandInfo> commands;         ///< those below it, one of which must follow

  /// The last word of its name.
  std::string word() const { return name.substr(name.rfind(' ') + 1); }
};

/// The program, then all commands in the order in which help lists them, those below one right after it.
std::vector<CommandInfo> command_tree(const CLI::App& app);

/// The pages made of it.
std::string bash_completion(const std::vector<CommandInfo>& tree);
std::string zsh_completion(const std::vector<CommandInfo>& tree);
std::string fish_completion(const std::vector<CommandInfo>& tree);
/// In roff, UTF-8.
std::string man_page(const std::vector<CommandInfo>& tree);

}  // namespace gyro
