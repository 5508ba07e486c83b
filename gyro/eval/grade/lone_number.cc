#include <algorithm>

#include "gyro/eval/grade/extract.h"
#include "gyro/eval/grade/normal.h"
#include "gyro/eval/grade/parse.h"
#include "gyro/eval/grade/vocabulary.h"

namespace gyro::grading {
namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

std::optional<Rational> digits_value(std::string_view text) {
  std::string digits;
  std::copy_if(text.begin(), text.end(), std::back_inserter(digits), [](char c) { return is_digit(c) || c == '.'; });
  return exact_decimal(digits);
}

// "-$1,234.5", "3/4", "1 1/2"
std::optional<Rational> value_of(std::string_view written) {
  const bool negative = written.starts_with('-');
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

}  // namespace

std::optional<Rational> lone_number(std::string_view text) {
  if (text.size() > kMaxAnswer) return std::nullopt;
  const auto number = first_number(text);
  if (!number || !is_apart(text.substr(number->end))) return std::nullopt;
  const std::string_view before = text.substr(0, number->end - number->text.size()), after = text.substr(number->end);
  const auto harmless = [](char c) {
    return is_letter(c) || static_cast<unsigned char>(c) >= 0x80 ||
           std::string_view(" \t\r\n$%.,'\"").find(c) != std::string_view::npos;
  };
  if (!std::all_of(before.begin(), before.end(), harmless) || !std::all_of(after.begin(), after.end(), harmless)) {
    return std::nullopt;
  }
  const std::string words = plain_words(after);
  const auto is_there = [&](std::string_view word) { return words.find(word) != std::string::npos; };
  if (std::any_of(kMultipliers.begin(), kMultipliers.end(), is_there)) return std::nullopt;  // 5 million is not 5
  return value_of(number->text);
}

}  // namespace gyro::grading
