#include "gyro/eval/grade/normal.h"

#include <algorithm>

#include "gyro/eval/grade/characters.h"
#include "gyro/eval/grade/parse.h"
#include "gyro/eval/grade/vocabulary.h"

namespace gyro::grading {
namespace {

constexpr std::string_view kSpace = " \t\r\n";

std::string with_single_spaces(std::string_view text) {
  std::string out;
  for (const char c : trimmed(text)) {
    const bool space = kSpace.find(c) != std::string_view::npos;
    if (!space || !out.ends_with(' ')) out += space ? ' ' : c;
  }
  return out;
}

// "No", or three letters or more that are not usual names of variables together.
bool is_word(std::string_view run) {
  if (run == "no" || run == "No" || run == "NO") return true;
  if (run.size() < 3 || word_command(run)) return false;
  for (const std::string_view names : {"abcd", "xyzw", "pqrst", "uvw", "kmn", "ijk", "ABCD", "XYZ", "PQRS"}) {
    if (run.find_first_not_of(names) == run.npos) return false;
  }
  return true;
}

}  // namespace

std::string_view trimmed(std::string_view text) {
  const size_t from = text.find_first_not_of(kSpace);
  if (from == text.npos) return {};
  return text.substr(from, text.find_last_not_of(kSpace) - from + 1);
}

bool same_text(std::string_view a, std::string_view b) {
  if (trimmed(a).empty() || trimmed(b).empty()) return false;
  if (a.size() <= kMaxAnswer && b.size() <= kMaxAnswer) {
    const auto of_a = tokenize(a, Commas::Thousands), of_b = tokenize(b, Commas::Thousands);
    if (of_a && of_b) {
      const auto same = [](const Token& x, const Token& y) { return x.kind == y.kind && x.text == y.text; };
      return !of_a->empty() && std::equal(of_a->begin(), of_a->end(), of_b->begin(), of_b->end(), same);
    }
  }
  return with_single_spaces(a) == with_single_spaces(b);
}

std::string bare_words(std::string_view text) {
  text = trimmed(text);
  while (text.ends_with('.')) text = trimmed(text.substr(0, text.size() - 1));
  if (text.size() > 2 && text.front() == '(' && text.back() == ')') text = trimmed(text.substr(1, text.size() - 2));
  return text.size() == 1 ? std::string(text) : plain_words(text);
}

std::optional<Words> words_of(std::string_view answer) {
  const auto tokens = tokenize(answer, Commas::Thousands);
  if (!tokens || tokens->empty()) return std::nullopt;
  std::string words;
  bool text = false, word = false;
  for (const Token& token : *tokens) {
    if (token.kind == TokenKind::Sign && token.text == "-" && !words.empty()) {
      words += '-';
      continue;
    }
    if (token.kind != TokenKind::Letter && token.kind != TokenKind::Text) return std::nullopt;
    if (!words.empty() && (token.spaced || token.kind == TokenKind::Text) && !words.ends_with('-')) words += ' ';
    words += token.text;
    text |= token.kind == TokenKind::Text;
  }
  for (size_t from = 0; from < words.size();) {
    size_t end = from;
    while (end < words.size() && is_letter(words[end])) ++end;
    word |= is_word(std::string_view(words).substr(from, end - from));
    from = end + 1;
  }
  return Words{bare_words(words), text || word};
}

}  // namespace gyro::grading
