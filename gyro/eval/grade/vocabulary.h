#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace gyro::grading {

/// The command that a plain word stands for ("sqrt", "pi", "sin").
std::optional<std::string_view> word_command(std::string_view word);

/// A command that changes how things look and not what they are.
bool is_style(std::string_view command);

/// A command whose argument is words.
bool is_text_command(std::string_view command);

/// The sign that a command stands for ("\times" is "*").
std::optional<std::string_view> command_sign(std::string_view command);

/// The command that another is a variant of ("dfrac" of "frac"), or itself.
std::string_view command_meant(std::string_view command);

/// The longest beginning of a command's name that is a command known here: all of "frac", "cos" of "cosx" as it is
/// where someone took the spaces out; empty where there is none.
std::string_view known_command(std::string_view name);

/// A function of one argument, by its command's name, as evaluation calls it.
std::optional<std::string_view> function_of(std::string_view command);

/// A command that makes another variable of one ("hat", "overline").
bool is_accent(std::string_view command);

/// A Greek letter or another command that is a variable.
bool is_symbol_command(std::string_view command);

/// The number, as digits, that a word multiplies what stands before it by ("million").
std::optional<std::string_view> multiplier_of(std::string_view word);

/// A character beyond ASCII at the beginning of `text`, and the notation that it stands for.
struct UnicodeMeant {
  size_t length;
  std::string_view meant;
};
std::optional<UnicodeMeant> unicode_meant(std::string_view text);

}  // namespace gyro::grading
