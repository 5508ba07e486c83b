#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <vector>

namespace gyro {

/// The words of a command line, without the program's name, as the parser is to see them: `help COMMAND` is
/// `COMMAND --help`, nothing at all is --help, `version` is --version.
std::vector<std::string> meant_words(std::vector<std::string> words);

/// The same words, where "--data=" is two: "--data" and an empty value. Of one, the parser takes the next word for the
/// value.
std::vector<std::string> with_empty_values(const CLI::App& app, const std::vector<std::string>& words);

/// Has the parser refuse an empty value ("--data: has no value") of every option of every command, but the texts that
/// can be empty: a model without a system prompt, a prompt of nothing.
void refuse_empty_values(CLI::App& app);

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
