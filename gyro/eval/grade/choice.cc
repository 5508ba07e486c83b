#include "gyro/eval/grade/choice.h"

#include <algorithm>
#include <array>

#include "gyro/eval/grade/characters.h"
#include "gyro/eval/grade/normal.h"
#include "gyro/eval/grade/parse.h"

namespace gyro::grading {
namespace {

constexpr size_t kUsualOptions = 10, kMostOptions = 26;

bool is_word_part(char c) {
  return is_letter(c) || (c >= '0' && c <= '9') || c == '_' || static_cast<unsigned char>(c) >= 0x80;
}

std::optional<char> option(char c, Choices choices) {
  const char upper = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  const size_t count = choices.empty() ? kUsualOptions : std::min(choices.size(), kMostOptions);
  const bool known = upper >= 'A' && static_cast<size_t>(upper - 'A') < count;
  return known ? std::optional(upper) : std::nullopt;
}

bool drop(std::string_view& text, std::string_view beginning) {
  if (!text.starts_with(beginning)) return false;
  text = trimmed(text.substr(beginning.size()));
  return true;
}

// Dress that opens before a letter.
std::string_view without_opening(std::string_view text) {
  static constexpr std::array<std::string_view, 16> kOpenings = {
      "\\textbf{", "\\text{", "\\mathrm{", "\\mathbf{", "\\boxed{", "\\textit{", "\\left(", "\\(",
      "**",        "*",       "$",         "(",         "[",        "{",         "\"",      "__"};
  static constexpr std::array<std::string_view, 8> kWords = {"option ", "Option ", "choice ", "Choice ",
                                                             "letter ", "the ",    "option~", "Option~"};
  text = trimmed(text);
  for (bool again = true; again && !text.empty();) {
    const auto dropped = [&](std::string_view beginning) { return drop(text, beginning); };
    again =
        std::any_of(kOpenings.begin(), kOpenings.end(), dropped) || std::any_of(kWords.begin(), kWords.end(), dropped);
  }
  return text;
}

constexpr std::string_view kClosings = ")]}*$._\"\\,:; \t\r\n";

// Whether nothing but what closes dress follows a letter, or what parts it from its option's text.
bool only_closes(std::string_view after) {
  if (after.starts_with("\\right)")) after.remove_prefix(7);
  const size_t end = after.find_first_not_of(kClosings);
  if (end == after.npos) return true;
  const std::string_view between = after.substr(0, end);
  return between.find_first_of(").:") != between.npos && !(between == "." || between == ")" || between == ":");
}

std::optional<char> letter_by_text(std::string_view answer, Choices choices) {
  if (answer.size() > kMaxAnswer) return std::nullopt;
  std::optional<char> found;
  const auto words = words_of(answer);
  for (size_t i = 0; i < std::min(choices.size(), kMostOptions); ++i) {
    const auto of_option = words ? words_of(choices[i]) : std::nullopt;
    const bool same = same_text(answer, choices[i]) || bare_words(answer) == bare_words(choices[i]) ||
                      (of_option && of_option->words == words->words);
    if (!same) continue;
    if (found) return std::nullopt;  // two options with one text
    found = static_cast<char>('A' + i);
  }
  return found;
}

std::optional<char> letter_by_letter(std::string_view answer, Choices choices) {
  const std::string_view bare = without_opening(answer);
  if (bare.empty() || !is_letter(bare[0]) || !only_closes(bare.substr(1))) return std::nullopt;
  return option(bare[0], choices);
}

}  // namespace

std::optional<char> letter_of(std::string_view answer, Choices choices) {
  if (const auto letter = letter_by_letter(answer, choices)) return letter;
  return letter_by_text(answer, choices);
}

std::optional<std::string_view> choice_equal(std::string_view gold, std::string_view answer, Choices choices) {
  const auto meant = letter_of(gold, choices);
  if (!meant || letter_of(answer, choices) != meant) return std::nullopt;
  return letter_by_letter(answer, choices) ? "choice-letter" : "choice-text";
}

std::optional<std::string_view> leading_letter(std::string_view sentence, Choices choices) {
  if (letter_by_text(sentence, choices)) return sentence;
  const std::string_view bare = without_opening(sentence);
  if (bare.empty() || !option(bare[0], choices) || (bare.size() > 1 && is_word_part(bare[1]))) return std::nullopt;
  const bool dressed = bare.data() != sentence.data();
  const bool article = (bare[0] == 'a' || bare[0] == 'A' || bare[0] == 'I' || bare[0] == 'i') && bare.size() > 2 &&
                       bare[1] == ' ' && is_letter(bare[2]);
  if (article || (bare[0] >= 'a' && !dressed && bare.size() > 1 && bare[1] == ' ')) return std::nullopt;
  return bare.substr(0, 1);
}

std::optional<Piece> last_letter(std::string_view text, Choices choices) {
  for (size_t at = text.size(); at-- > 0;) {
    const char c = text[at];
    if (c < 'A' || c > 'Z' || !option(c, choices)) continue;
    const char before = at > 0 ? text[at - 1] : ' ', after = at + 1 < text.size() ? text[at + 1] : ' ';
    const bool joined = is_word_part(before) || is_word_part(after) || before == '\'' || after == '\'' ||
                        before == '\\' || after == '-' || before == '-';
    const bool word = (c == 'A' || c == 'I') && after == ' ' && at + 2 < text.size() && is_letter(text[at + 2]);
    if (!joined && !word) return Piece{text.substr(at, 1), at + 1};
  }
  return std::nullopt;
}

}  // namespace gyro::grading
