#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <vector>

namespace gyro {

/// The words of a command line, without the program's name, as the parser is to see them: `help COMMAND` is
/// `COMMAND --help`, nothing at all is --help, `version` is --version.
std::vector<std::string> meant_words(std::vector<std::string> words);

/// What is wrong with the first word, which should be a command; nothing if it is one, or an option.
std::optional<std::string> wrong_command(const CLI::App& app, const std::vector<std::string>& words);

/// The innermost command that was given, `gyro probe rotation`'s of those words, or the program itself; and its words
/// without the program's, "probe rotation ", empty or ending in a space.
struct GivenCommand {
  const CLI::App* command;
  std::string words;
};
GivenCommand given_command(const CLI::App& app);

/// What a parser's error says, in our words: which option or command was meant, where there is one like it.
std::string usage_problem(const CLI::App& app, const CLI::ParseError& error);

}  // namespace gyro
