#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace gyro::grading {

/// Whether two answers are the same notation but for white space, LaTeX's spacing and styles, dollar signs and a full
/// stop; where one is no notation that is known, or too long, the same bytes but for the amount of white
/// space.
bool same_text(std::string_view a, std::string_view b);

/// An answer that consists of letters and nothing else.
struct Words {
  std::string words;  ///< as `bare_words` has them
  bool certain;       ///< false where they may be a product of variables, such as "xyz"
};
std::optional<Words> words_of(std::string_view answer);

/// Words without parentheses around them and a full stop; in lower case, but for a single letter, with single spaces.
std::string bare_words(std::string_view text);

/// The text without white space at its ends.
std::string_view trimmed(std::string_view text);

}  // namespace gyro::grading
