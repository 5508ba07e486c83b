#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "gyro/eval/grade/extract.h"

namespace gyro::grading {

using Choices = std::span<const std::string>;  ///< the options' texts; where there are none, A to J are options

/// The option that an answer names as a whole: "B", "(b)", "\text{B}.", "**B**", "option B", "B) Paris", "Paris".
std::optional<char> letter_of(std::string_view answer, Choices choices);

/// By which rule an answer names the gold's option: "choice-letter" or "choice-text".
std::optional<std::string_view> choice_equal(std::string_view gold, std::string_view answer, Choices choices);

/// The beginning of a sentence that names an option, or all of it if that is an option's text.
std::optional<std::string_view> leading_letter(std::string_view sentence, Choices choices);

/// The last capital letter of an option that stands alone, "A" and "I" not where they are words.
std::optional<Piece> last_letter(std::string_view text, Choices choices);

}  // namespace gyro::grading
