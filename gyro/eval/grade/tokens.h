#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace gyro::grading {

enum class TokenKind {
  Number,   ///< digits, at most one point and an exponent; no commas
  Letter,   ///< one letter
  Command,  ///< a LaTeX command without its backslash, or a word that stands for one ("sqrt")
  Text,     ///< what `\text` holds, or a plain word: trimmed
  Sign      ///< one of + - * / ^ _ ( ) [ ] { } | , : ! % & < > = <= >= != in \{ \}
};

struct Token {
  TokenKind kind = TokenKind::Sign;
  std::string text = {};
  bool spaced = false;  ///< white space before it
};

/// Whether commas between groups of three digits belong to the number.
enum class Commas { Thousands, Separate };

/// Tokens of an answer in LaTeX, Unicode or plain notation, synonyms brought to one: spacing, dollar signs, `\left` and
/// `\right`, styles and a full stop at the end are gone. Nothing for bytes that are no notation that is known.
std::optional<std::vector<Token>> tokenize(std::string_view answer, Commas commas);

/// What a unit's name is called in the singular and in full ("cm" for "centimeters"); nothing for a word that is no
/// unit known here.
std::optional<std::string_view> unit_of(std::string_view word);

/// Words in lower case, trimmed, with single spaces.
std::string plain_words(std::string_view text);

}  // namespace gyro::grading
