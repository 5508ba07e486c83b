#pragma once

#include <optional>
#include <string_view>

#include "gyro/eval/grade/expression.h"

namespace gyro::grading {

/// An output that thinks, in two: what follows the last `</think>`, and what is before it. Of thinking that does not
/// end, the answer is what was before it.
struct Zones {
  std::string_view answer, thinking;
};
Zones zones_of(std::string_view output);

/// A piece of a text.
struct Piece {
  std::string_view text;  ///< trimmed
  size_t end = 0;         ///< where it ends in the text
};

struct Boxes {
  std::optional<Piece> last;  ///< the content of the last `\boxed{}` or `\fbox{}` that closes; of several with "and",
                              ///< "or" or a comma between, all of them with what is between
  bool open = false;          ///< the text ends within one
};
Boxes boxes(std::string_view text);

/// What follows the last "####" on its line, if it is a number.
std::optional<Piece> after_hashes(std::string_view text);

/// What follows "answer:" on the last line that begins so.
std::optional<Piece> answer_line(std::string_view text);

/// What follows the last "answer is", "answer:" or the like, to the end of its sentence.
std::optional<Piece> answer_sentence(std::string_view text);

/// The formula between delimiters that a text begins with.
std::optional<Piece> leading_formula(std::string_view text);

/// Whether there is a word of so many letters or more that is no LaTeX.
bool has_words(std::string_view text, size_t letters);

/// The last number of a text, with sign and fraction bar, or the last formula between delimiters, whichever ends later;
/// a number within a formula counts as the formula. Where `currency`, a dollar sign delimits only what has a command in
/// it.
std::optional<Piece> last_value(std::string_view text, bool currency);

/// The first number of a text, as last_value would have it.
std::optional<Piece> first_number(std::string_view text);

/// The value of a text in which there is one number beside words, currency and percent signs, and no operation.
std::optional<Rational> lone_number(std::string_view text);

}  // namespace gyro::grading
