#include <algorithm>
#include <array>
#include <string>

#include "gyro/eval/grade/characters.h"
#include "gyro/eval/grade/extract.h"
#include "gyro/eval/grade/normal.h"
#include "gyro/eval/grade/parse.h"
#include "gyro/eval/grade/vocabulary.h"

namespace gyro::grading {
namespace {

std::optional<Rational> digits_value(std::string_view text) {
  std::string digits;
  std::copy_if(text.begin(), text.end(), std::back_inserter(digits), [](char c) { return is_digit(c) || c == '.'; });
  return exact_decimal(digits);
}

// "-$1,234.5", "3/4", "1 1/2"
std::optional<Rational> value_of(std::string_view written) {
  const bool negative = written.starts_with('-') || written.starts_with("\u2212");
  std::optional<Rational> value;
  if (const size_t bar = written.find('/'); bar != written.npos) {
    const std::string_view above = written.substr(0, bar);
    const size_t space = above.find(' ');
    const auto whole = space == above.npos ? Rational(0) : digits_value(above.substr(0, space));
    const auto part = digits_value(space == above.npos ? above : above.substr(space)),
               below = digits_value(written.substr(bar));
    if (!whole || !part || !below || *below == 0) return std::nullopt;
    value = *whole + *part / *below;
  } else {
    value = digits_value(written);
  }
  if (value && negative) value = -*value;
  return value;
}

// Letters right after a number are part of it, unless they are its unit.
bool is_apart(std::string_view after) {
  const size_t end = std::find_if_not(after.begin(), after.end(), is_letter) - after.begin();
  return end == 0 || unit_of(after.substr(0, end)).has_value();
}

// Words that change what a number is.
bool changes_number(std::string_view word) {
  static constexpr std::array<std::string_view, 7> kWords = {"minus",   "negative", "half", "halves",
                                                             "quarter", "third",    "times"};
  const std::string lower = plain_words(word);
  return std::find(kWords.begin(), kWords.end(), lower) != kWords.end() || multiplier_of(lower) || word_command(word);
}

// Whether what stands beside a number leaves it as it is: words, currencies and punctuation, no operation.
bool is_harmless(std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    if (is_letter(text[at])) {
      const size_t end =
          std::find_if_not(text.begin() + static_cast<std::ptrdiff_t>(at), text.end(), is_letter) - text.begin();
      if (changes_number(text.substr(at, end - at))) return false;
      at = end;
    } else if (static_cast<unsigned char>(text[at]) >= 0x80) {
      const auto meant = unicode_meant(text.substr(at));
      if (meant && !meant->meant.empty()) return false;
      at += meant ? meant->length : 1;
    } else if (std::string_view(" \t\r\n$%.,'\"").find(text[at]) != std::string_view::npos) {
      ++at;
    } else {
      return false;
    }
  }
  return true;
}

}  // namespace

std::optional<Rational> lone_number(std::string_view text) {
  if (text.size() > kMaxAnswer) return std::nullopt;
  const auto number = first_number(text);
  if (!number || !is_apart(text.substr(number->end))) return std::nullopt;
  const std::string_view before = text.substr(0, number->end - number->text.size()), after = text.substr(number->end);
  if (!is_harmless(before) || !is_harmless(after)) return std::nullopt;
  return value_of(number->text);
}

}  // namespace gyro::grading
