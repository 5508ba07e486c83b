#include "gyro/eval/grade/tokens.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <utility>

#include "gyro/eval/grade/characters.h"
#include "gyro/eval/grade/normal.h"
#include "gyro/eval/grade/vocabulary.h"

namespace gyro::grading {
namespace {

bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

bool is_plain_number(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return is_digit(c) || c == '.'; }) &&
         std::count(text.begin(), text.end(), '.') <= 1 && text != ".";
}

class Lexer {
 public:
  Lexer(std::string_view text, Commas commas) : text_(text), commas_(commas) {}

  std::optional<std::vector<Token>> run() {
    while (at_ < text_.size()) {
      if (!step()) return std::nullopt;
    }
    drop_full_stop();
    return std::move(tokens_);
  }

 private:
  char peek(size_t ahead = 0) const { return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0'; }

  void add(TokenKind kind, std::string_view text) {
    tokens_.push_back({kind, std::string(text), spaced_});
    spaced_ = false;
  }

  bool step() {
    const char c = peek();
    if (is_space(c) || c == '~' || c == '$') {  // a dollar sign delimits, or is a currency
      spaced_ = true;
      ++at_;
      return true;
    }
    if (is_digit(c) || (c == '.' && is_digit(peek(1)))) return number();
    if (is_letter(c)) return word();
    if (c == '\\') return command();
    if (static_cast<unsigned char>(c) >= 0x80) return beyond_ascii();
    return sign();
  }

  bool sign() {
    static constexpr std::array<std::pair<std::string_view, std::string_view>, 5> kPairs = {
        {{"<=", "<="}, {">=", ">="}, {"!=", "!="}, {"**", "^"}, {"==", "="}}};
    for (const auto& [written, meant] : kPairs) {
      if (!text_.substr(at_).starts_with(written)) continue;
      at_ += written.size();
      add(TokenKind::Sign, meant);
      return true;
    }
    const char c = text_[at_++];
    if (c == ';') return add(TokenKind::Sign, ","), true;
    if (c == '\'') return add(TokenKind::Command, "prime"), true;
    if (c == '.') return add(TokenKind::Sign, "."), true;
    if (std::string_view("+-*/^_()[]{}|,:!%&<>=").find(c) == std::string_view::npos) return false;
    track(std::string_view(&c, 1));
    add(TokenKind::Sign, std::string_view(&c, 1));
    return true;
  }

  size_t digits_at(size_t from) const {
    size_t end = from;
    while (end < text_.size() && is_digit(text_[end])) ++end;
    return end - from;
  }

  // The length of what separates thousands before three digits that no fourth follows: "," or "{,}" or ",\!" or a
  // space.
  size_t separator() const {
    static constexpr std::array<std::string_view, 8> kSure = {"{,}", "{,}\\!", ",\\!", ",\\! ",
                                                              "\\,", "\\!,",   " ",    "\\ "};
    size_t length = commas_ == Commas::Thousands && brackets_ == 0 && peek() == ',' ? 1 : 0;
    if (length != 0 && digits_at(at_ + 1) == 3) return length;
    for (const std::string_view written : kSure) {
      if (text_.substr(at_).starts_with(written) && digits_at(at_ + written.size()) == 3) return written.size();
    }
    return 0;
  }

  bool number() {
    std::string digits(text_.substr(at_, digits_at(at_)));
    at_ += digits.size();
    if (!digits.empty() && digits.size() <= 3 && digits.front() != '0') {
      for (size_t length = separator(); length != 0; length = separator()) {
        digits += text_.substr(at_ + length, 3);
        at_ += length + 3;
      }
    }
    if (peek() == '.' && is_digit(peek(1))) {
      const size_t length = 1 + digits_at(at_ + 1);
      digits += text_.substr(at_, length);
      at_ += length;
    } else if (peek() == '.' && text_.substr(at_ + 1).starts_with("\\overline")) {
      digits += '.';
      ++at_;
    }
    const size_t sign = peek(1) == '-' || peek(1) == '+' ? 1 : 0;
    if ((peek() == 'e' || peek() == 'E') && is_digit(peek(1 + sign)) && !digits.ends_with('.')) {
      const size_t length = 1 + sign + digits_at(at_ + 1 + sign);
      digits += text_.substr(at_, length);
      at_ += length;
    }
    add(TokenKind::Number, digits);
    return true;
  }

  // Whether a unit may stand here.
  bool after_value() const {
    if (tokens_.empty()) return false;
    const Token& last = tokens_.back();
    return last.kind == TokenKind::Number || (last.kind == TokenKind::Sign && (last.text == "}" || last.text == ")"));
  }

  void add_text(std::string_view text) {
    text = trimmed(text);
    const std::string lower = plain_words(text);
    if (lower.empty()) return;
    const size_t first = std::min(lower.find(' '), lower.size());
    if (const auto factor = multiplier_of(lower.substr(0, first)); factor && after_value()) {  // "5 million dollars"
      add(TokenKind::Sign, "*");
      add(TokenKind::Number, *factor);
      return add_text(text.substr(std::min(text.find(' '), text.size())));
    }
    if (lower == "and" || lower == "or" || lower == "," || lower == "&") return add(TokenKind::Sign, ",");
    if (lower == "%" || lower == "percent" || lower == "pct" || lower == "percentage") return add(TokenKind::Sign, "%");
    if (lower == "degrees" || lower == "degree") return add(TokenKind::Command, "degree");
    if (is_plain_number(text)) return add(TokenKind::Number, text);
    if (text.size() == 1 && is_letter(text[0]) && !(after_value() && unit_of(text)))
      return add(TokenKind::Letter, text);
    if (!tokens_.empty() && tokens_.back().kind == TokenKind::Text) {
      tokens_.back().text.append(" ").append(text);  // "New" "York"
      return;
    }
    add(TokenKind::Text, text);
  }

  bool word() {
    const size_t from = at_;
    while (is_letter(peek())) ++at_;
    const std::string_view run = text_.substr(from, at_ - from);
    const std::string lower = plain_words(run);
    if (const auto command = word_command(run)) return add(TokenKind::Command, *command), true;
    const bool joins = lower == "and" || lower == "or";
    const bool goes_on = run.size() >= 2 && !tokens_.empty() && tokens_.back().kind == TokenKind::Text;
    if (joins || goes_on || run.size() >= 4 || (run.size() >= 2 && (unit_of(run) && after_value())) || lower == "pct") {
      add_text(run);
      return true;
    }
    for (const char c : run) add(TokenKind::Letter, std::string_view(&c, 1));
    return true;
  }

  // What stands between the braces that open here, which are passed; nothing if they do not close.
  std::optional<std::string_view> group() {
    while (is_space(peek())) ++at_;
    if (peek() != '{') return std::nullopt;
    const size_t from = at_ + 1;
    int depth = 0;
    for (; at_ < text_.size(); ++at_) {
      if (text_[at_] == '\\') {
        ++at_;
      } else if (text_[at_] == '{') {
        ++depth;
      } else if (text_[at_] == '}' && --depth == 0) {
        return text_.substr(from, at_++ - from);
      }
    }
    return std::nullopt;
  }

  bool command() {
    ++at_;
    // "\\\\frac" is a command that was escaped twice; in a matrix two backslashes end a row.
    if (peek() == '\\' && is_letter(peek(1)) && environments_ == 0) ++at_;
    const size_t from = at_;
    while (is_letter(peek())) ++at_;
    if (at_ == from) return escaped(text_[at_ < text_.size() ? at_++ : at_ - 1]);
    std::string_view name = text_.substr(from, at_ - from);
    if (const std::string_view known = known_command(name); known.size() > 1) name = known;
    at_ = from + name.size();
    if (is_style(name)) return true;
    if (name == "left" || name == "right") return delimiter(name);
    if (name == "begin" || name == "end") {
      const auto environment = group();
      environments_ += name == "begin" ? 1 : -1;
      if (environment) add(TokenKind::Command, std::string(name).append(":").append(*environment));
      return environment.has_value();
    }
    if (is_text_command(name)) {
      const auto content = group();
      if (!content) return false;
      if (const auto meant = word_command(trimmed(*content))) return add(TokenKind::Command, *meant), true;
      return add_text(*content), true;
    }
    if (const auto meant = command_sign(name)) {
      track(*meant);
      add(TokenKind::Sign, *meant);
      return true;
    }
    add(TokenKind::Command, command_meant(name));
    return true;
  }

  bool delimiter(std::string_view side) {
    while (is_space(peek())) ++at_;
    if (peek() == '.') return ++at_, true;
    if (peek() == '|') return ++at_, add(TokenKind::Command, side == "left" ? "lvert" : "rvert"), true;
    return true;
  }

  // Inside of brackets a comma separates.
  void track(std::string_view sign) {
    if (sign == "(" || sign == "[" || sign == "\\{") ++brackets_;
    if (sign == ")" || sign == "]" || sign == "\\}") brackets_ = std::max(0, brackets_ - 1);
  }

  bool escaped(char c) {
    if (std::string_view(",;:! \n\t$").find(c) != std::string_view::npos) return spaced_ = true;
    if (c == '\\') return add(TokenKind::Command, "newline"), true;
    if (c == '{' || c == '}') {
      const std::string sign = {'\\', c};
      track(sign);
      return add(TokenKind::Sign, sign), true;
    }
    if (c == '%' || c == '&') return add(TokenKind::Sign, c == '%' ? "%" : ","), true;
    if (c == '|') return add(TokenKind::Command, "norm"), true;
    if (c == '(' || c == ')' || c == '[' || c == ']') return spaced_ = true;  // delimiters of a formula
    return false;
  }

  bool beyond_ascii() {
    const auto found = unicode_meant(text_.substr(at_));
    if (!found) return false;
    at_ += found->length;
    if (found->meant.empty()) return spaced_ = true;
    const auto inner = Lexer(found->meant, commas_).run();
    if (!inner) return false;
    for (const Token& token : *inner) add(token.kind, token.text);
    return true;
  }

  void drop_full_stop() {
    while (!tokens_.empty() && tokens_.back().kind == TokenKind::Sign && tokens_.back().text == ".") tokens_.pop_back();
  }

  std::string_view text_;
  Commas commas_;
  size_t at_ = 0;
  int brackets_ = 0, environments_ = 0;
  bool spaced_ = false;
  std::vector<Token> tokens_;
};

}  // namespace

std::optional<std::vector<Token>> tokenize(std::string_view answer, Commas commas) {
  return Lexer(answer, commas).run();
}

std::string plain_words(std::string_view text) {
  std::string out;
  for (const char c : trimmed(text)) {
    if (!is_space(c)) out += static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
    if (is_space(c) && !out.ends_with(' ')) out += ' ';
  }
  return out;
}

}  // namespace gyro::grading
