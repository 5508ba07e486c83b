#include "gyro/eval/grade/extract.h"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "gyro/eval/grade/characters.h"
#include "gyro/eval/grade/normal.h"
#include "gyro/eval/grade/parse.h"

namespace gyro::grading {
namespace {

constexpr size_t kNone = std::string_view::npos;

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

// Whether `text` goes on at `from` with `word`, which is in lower case.
bool goes_on(std::string_view text, size_t from, std::string_view word) {
  return text.size() - from >= word.size() &&
         std::equal(word.begin(), word.end(), text.begin() + static_cast<std::ptrdiff_t>(from),
                    [](char a, char b) { return a == lower(b); });
}

size_t skip(std::string_view text, size_t from, std::string_view characters) {
  return std::min(text.find_first_not_of(characters, from), text.size());
}

Piece piece(std::string_view text, size_t from, size_t end) {
  return {trimmed(text.substr(from, end - from)), end};
}

// Of a box that holds a box and nothing else, the inner one's content.
Piece innermost(Piece outer, const std::optional<Piece>& inner) {
  const bool holds_one = outer.text.starts_with("\\boxed{") || outer.text.starts_with("\\fbox{");
  const bool all = inner && holds_one && inner->text.data() > outer.text.data() &&
                   outer.text.find('{') + 1 + inner->text.size() + 1 == outer.text.size();
  return all ? Piece{inner->text, outer.end} : outer;
}

// A brace that is open, and where its box's command and content begin, if it is one's.
struct Open {
  bool box = false;
  size_t begin = 0, content = 0;
};

// The length of \boxed or \fbox, or 0.
size_t box_command(std::string_view text, size_t at) {
  if (goes_on(text, at, "\\boxed")) return 6;
  return goes_on(text, at, "\\fbox") ? 5 : 0;
}

// Whether there is a comma, "and" or "or" between two boxes, and nothing else but delimiters and space.
bool connects(std::string_view between) {
  bool connected = false;
  while (!between.empty()) {
    static constexpr std::array<std::string_view, 22> kPieces = {
        ",",       ";",   "\\text{and}", "\\text{ and }", "\\text{or}", "\\text{ or }", "and", "or",  "\\quad",
        "\\qquad", "\\,", "\\;",         "\\ ",           "\\(",        "\\)",          "\\[", "\\]", "$",
        "*",       " ",   "\t",          "\\text{, and }"};
    const auto* found =
        std::find_if(kPieces.begin(), kPieces.end(), [&](auto part) { return between.starts_with(part); });
    if (found == kPieces.end()) return false;
    connected |= found->find_first_of(",;aond") != kNone && !found->ends_with("quad");
    between.remove_prefix(found->size());
  }
  return connected;
}

// Boxes that make one answer together.
struct BoxRun {
  size_t begin = 0, end = 0, last_end = 0;  // of all with their commands, and of the last one's content
  int count = 0;

  void add(std::string_view text, size_t from, const Piece& content) {
    constexpr size_t kLongestBetween = 80;
    const size_t close = content.end < text.size() && text[content.end] == '}' ? content.end + 1 : content.end;
    const bool goes_on = count > 0 && from - end <= kLongestBetween && connects(text.substr(end, from - end));
    begin = goes_on ? begin : from;
    count = goes_on ? count + 1 : 1;
    end = close;
    last_end = content.end;
  }
};

// `\boxed 5`: up to white space or the end of the formula.
size_t end_of_bare_box(std::string_view text, size_t from) {
  return std::min(text.find_first_of(" \t\r\n$", from), text.size());
}

// A number that begins at `from`, or 0 where none does: digits with commas between groups of three, a decimal part.
size_t end_of_digits(std::string_view text, size_t from) {
  size_t end = from;
  const auto digits = [&](size_t at) {
    size_t stop = at;
    while (stop < text.size() && is_digit(text[stop])) ++stop;
    return stop - at;
  };
  end += digits(from);
  if (end - from <= 3 && end != from) {
    while (end < text.size() && text[end] == ',' && digits(end + 1) == 3) end += 4;
  }
  if (end + 1 < text.size() && text[end] == '.' && is_digit(text[end + 1])) end += 1 + digits(end + 1);
  return end == from ? 0 : end;
}

// The number with "/4", or " 3/4" after it.
size_t end_of_number(std::string_view text, size_t from) {
  const size_t end = end_of_digits(text, from);
  if (end == 0) return 0;
  const auto fraction = [&](size_t bar) {
    return bar < text.size() && text[bar] == '/' ? end_of_digits(text, bar + 1) : 0;
  };
  if (const size_t over = fraction(end); over != 0) return over;
  if (end + 1 < text.size() && text[end] == ' ') {
    const size_t above = end_of_digits(text, end + 1);
    if (above != 0 && fraction(above) != 0) return fraction(above);
  }
  return end;
}

// Where a number begins whose digits do at `digits`: before a currency sign and a minus sign that is no subtraction.
size_t begin_of_number(std::string_view text, size_t digits) {
  size_t from = digits;
  if (from > 0 && text[from - 1] == '$') --from;
  if (from > 0 && text[from - 1] == '\\') --from;
  size_t sign = 0;
  for (const std::string_view written : {"-", "\u2212"}) {
    if (text.substr(0, from).ends_with(written)) sign = written.size();
  }
  if (sign == 0) return from;
  const char before = from > sign ? text[from - sign - 1] : ' ';
  return is_letter(before) || is_digit(before) || before == ')' || before == '}' ? from : from - sign;
}

bool begins_number(std::string_view text, size_t at) {
  const bool digit = is_digit(text[at]) || (text[at] == '.' && at + 1 < text.size() && is_digit(text[at + 1]));
  return digit && (at == 0 || !is_letter(text[at - 1]));
}

template <typename Visit>
void each_number(std::string_view text, Visit visit) {
  for (size_t at = 0; at < text.size();) {
    const size_t end = begins_number(text, at) ? end_of_number(text, at) : 0;
    if (end == 0) {
      const bool digit = is_digit(text[at]);  // of a word, such as B2: passed as a whole
      do ++at;
      while (digit && at < text.size() && is_digit(text[at]));
      continue;
    }
    if (!visit(begin_of_number(text, at), end)) return;
    at = end;
  }
}

struct Span {
  size_t from = 0, end = 0;  // of the content
};

// The last of $...$, $$...$$, \(...\) and \[...\].
std::optional<Span> last_formula(std::string_view text, bool currency) {
  std::optional<Span> last;
  size_t dollar = kNone, command = kNone;
  for (size_t at = 0; at < text.size(); ++at) {
    if (text[at] == '\\') {
      ++at;
      if (at == text.size()) break;
      if (text[at] == '(' || text[at] == '[') command = at + 1;
      if ((text[at] == ')' || text[at] == ']') && command != kNone) last = Span{command, at - 1};
      if (text[at] == ')' || text[at] == ']') command = kNone;
    } else if (text[at] == '$') {
      if (dollar == kNone) {
        dollar = at = skip(text, at, "$");
        --at;
        continue;
      }
      const Span span{dollar, at};
      const bool formula = !currency || text.substr(span.from, span.end - span.from).find('\\') != kNone;
      if (formula) last = span;
      at = skip(text, at, "$") - 1;
      dollar = formula ? kNone : at + 1;
    }
  }
  return last;
}

// Without the emphasis that closes behind it.
Piece plain(Piece found) {
  while (found.text.ends_with('*') || found.text.ends_with('_')) {
    found.text = trimmed(found.text.substr(0, found.text.size() - 1));
  }
  return found;
}

// The end of the sentence that goes on at `from`: a full stop before white space, or the end of the line; or of the
// formula that it begins with.
size_t end_of_sentence(std::string_view text, size_t from) {
  for (const auto& [open, close] : {std::pair{"\\[", "\\]"}, std::pair{"\\(", "\\)"}}) {
    const size_t end = text.substr(from).starts_with(open) ? text.find(close, from) : kNone;
    if (end != kNone) return end + 2;
  }
  for (size_t at = from; at < text.size(); ++at) {
    if (text[at] == '\n') return at;
    const bool stop = text[at] == '.' && (at + 1 == text.size() || text[at + 1] == ' ' || text[at + 1] == '\n');
    if (stop) return at;
  }
  return text.size();
}

// Where the answer begins that is announced by the word that ends at `at`; npos if it announces none.
size_t announced(std::string_view text, size_t at) {
  at = skip(text, at, " *_\"");
  if (at < text.size() && (text[at] == ':' || text[at] == '=')) {
    ++at;
  } else if (goes_on(text, at, "is") && at + 2 < text.size() && !is_letter(text[at + 2])) {
    at = skip(text, at + 2, " *_");
    if (at < text.size() && text[at] == ':') ++at;
  } else {
    return kNone;
  }
  at = skip(text, at, " *_\t\r\n");
  return at < text.size() ? at : kNone;
}

}  // namespace

Zones zones_of(std::string_view output) {
  constexpr std::string_view kBegin = "<think>", kEnd = "</think>";
  if (const size_t end = output.rfind(kEnd); end != kNone) {
    const std::string_view answer = output.substr(end + kEnd.size());
    const size_t again = answer.find(kBegin);
    if (again == kNone) return {answer, output.substr(0, end)};
    return {answer.substr(0, again), output};
  }
  const size_t begin = output.find(kBegin);
  if (begin == kNone) return {output, {}};
  return {output.substr(0, begin), output.substr(begin + kBegin.size())};
}

Boxes boxes(std::string_view text) {
  Boxes out;
  BoxRun run;
  std::vector<Open> open;
  size_t within = 0;
  for (size_t at = 0; at < text.size(); ++at) {
    if (text[at] == '{') {
      open.push_back({});
    } else if (text[at] == '}' && !open.empty()) {
      if (open.back().box) {
        out.last = innermost(piece(text, open.back().content, at), out.last);
        if (--within == 0) run.add(text, open.back().begin, *out.last);
      }
      open.pop_back();
    } else if (text[at] == '\\') {
      const size_t word = at + box_command(text, at), next = skip(text, word, " \n");
      if (word == at) {
        at += goes_on(text, at, "\\\\boxed") ? 0 : 1;  // one that was escaped twice follows
      } else if (next == text.size()) {
        out.open = true;
        break;
      } else if (text[next] == '{') {
        open.push_back({true, at, next + 1});
        ++within;
        at = next;
      } else if (next > word) {
        const size_t end = end_of_bare_box(text, next);
        out.last = piece(text, next, end);
        if (within == 0) run.add(text, at, *out.last);
        at = end - 1;
      }
    }
  }
  out.open = out.open || within != 0;
  if (run.count > 1 && run.last_end == out.last->end) out.last = piece(text, run.begin, run.end);
  return out;
}

std::optional<Piece> after_hashes(std::string_view text) {
  constexpr std::string_view kHashes = "####";
  size_t end = text.size(), behind = text.size();  // of the line, and where the search for its end may stop
  for (size_t at = text.rfind(kHashes); at != kNone; at = at == 0 ? kNone : text.rfind(kHashes, at - 1)) {
    const size_t from = at + kHashes.size();
    if (from > behind) continue;  // within five or more
    const size_t newline = text.substr(from, behind - from).find('\n');
    if (newline != kNone) end = from + newline;
    behind = from;
    const Piece found = piece(text, from, end);
    if (found.text.size() <= kMaxAnswer && lone_number(found.text)) return found;
  }
  return std::nullopt;
}

std::optional<Piece> answer_line(std::string_view text) {
  for (size_t end = text.size();;) {
    const size_t before = end == 0 ? kNone : text.rfind('\n', end - 1);
    const size_t from = before == kNone ? 0 : before + 1;
    size_t at = skip(text.substr(0, end), from, " \t*_#>");
    if (goes_on(text, at, "final ")) at += 6;
    if (goes_on(text, at, "answer")) {
      at = skip(text, at + 6, " *_");
      if (at < end && text[at] == ':') return plain(piece(text, skip(text.substr(0, end), at + 1, " *_"), end));
    }
    if (before == kNone) return std::nullopt;
    end = before;
  }
}

std::optional<Piece> answer_sentence(std::string_view text) {
  static constexpr std::array<std::string_view, 3> kWords = {"answer", "correct choice", "correct option"};
  for (size_t at = text.size(); at-- > 0;) {
    const char c = lower(text[at]);
    if ((c != 'a' && c != 'c') || (at > 0 && is_letter(text[at - 1]))) continue;
    for (const std::string_view word : kWords) {
      const size_t from = goes_on(text, at, word) ? announced(text, at + word.size()) : kNone;
      if (from == kNone) continue;
      const Piece found = plain(piece(text, from, end_of_sentence(text, from)));
      if (!found.text.empty()) return found;
    }
  }
  return std::nullopt;
}

std::optional<Piece> leading_formula(std::string_view text) {
  for (const auto& [open, close] :
       {std::pair<std::string_view, std::string_view>{"$$", "$$"}, {"$", "$"}, {"\\(", "\\)"}, {"\\[", "\\]"}}) {
    if (!text.starts_with(open)) continue;
    const size_t end = text.find(close, open.size());
    if (end != kNone && end > open.size()) return piece(text, open.size(), end);
  }
  return std::nullopt;
}

bool has_words(std::string_view text, size_t letters) {
  for (size_t at = 0; at < text.size(); ++at) {
    size_t end = at;
    while (end < text.size() && is_letter(text[end])) ++end;
    const char before = at > 0 ? text[at - 1] : ' ';
    if (end - at >= letters && before != '\\' && before != '{') return true;
    at = std::max(at, end == at ? at : end - 1);
  }
  return false;
}

std::optional<Piece> last_value(std::string_view text, bool currency) {
  std::optional<Piece> number;
  size_t begin = 0;
  each_number(text, [&](size_t from, size_t end) {
    number = piece(text, from, end);
    begin = from;
    return true;
  });
  const auto formula = last_formula(text, currency);
  if (!formula || trimmed(text.substr(formula->from, formula->end - formula->from)).empty()) return number;
  if (number && begin >= formula->end) return number;
  return piece(text, formula->from, formula->end);
}

std::optional<Piece> first_number(std::string_view text) {
  std::optional<Piece> number;
  each_number(text, [&](size_t from, size_t end) {
    number = piece(text, from, end);
    return false;
  });
  return number;
}

}  // namespace gyro::grading
