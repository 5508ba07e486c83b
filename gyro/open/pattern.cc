#include "gyro/open/pattern.h"

#include <algorithm>
#include <cctype>
#include <optional>

#include "gyro/base/error.h"

namespace gyro {
namespace {

using Step = ModulePattern::Step;
using Program = std::vector<Step>;
using Bytes = std::bitset<256>;

constexpr size_t kMostSteps = 20'000, kMostBytes = 2'000;
constexpr int kMostNested = 50, kMostRepeats = 1'000;

Program operator+(Program a, const Program& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

Step step_of(Step::Kind kind, ptrdiff_t first = 1, ptrdiff_t other = 1) {
  return {kind, {}, first, other};
}

Program either(const Program& a, const Program& b) {
  const auto size_a = static_cast<ptrdiff_t>(a.size()), size_b = static_cast<ptrdiff_t>(b.size());
  return Program{step_of(Step::Kind::Split, 1, size_a + 2)} + a + Program{step_of(Step::Kind::Jump, size_b + 1)} + b;
}

// No time, once, or as often as it goes.
Program optional(const Program& a) {
  return Program{step_of(Step::Kind::Split, 1, static_cast<ptrdiff_t>(a.size()) + 1)} + a;
}
Program star(const Program& a) {
  const auto size = static_cast<ptrdiff_t>(a.size());
  return Program{step_of(Step::Kind::Split, 1, size + 2)} + a + Program{step_of(Step::Kind::Jump, -size - 1)};
}

// Recursive descent over an expression. Every function begins where `at_` is and ends behind what it read.
class Compiler {
 public:
  Compiler(std::string_view subject, std::string_view text) : subject_(subject), text_(text) {}

  Program all() {
    Program program = alternatives(0);
    if (at_ != text_.size()) refuse();
    program.push_back(step_of(Step::Kind::Match));
    return program;
  }

 private:
  [[noreturn]] void refuse() const {
    fail(std::string(subject_), "\"{}\" is no expression that Gyro reads as Python does", printable(text_, 100));
  }
  bool more() const { return at_ < text_.size(); }
  char peek() const { return more() ? text_[at_] : '\0'; }
  char next() {
    if (!more()) refuse();
    return text_[at_++];
  }
  bool take(char c) {
    if (!more() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  Program checked(Program program) const {
    if (program.size() > kMostSteps) refuse();
    return program;
  }

  Program alternatives(int depth) {
    if (depth > kMostNested) refuse();
    Program program = sequence(depth);
    while (take('|')) program = checked(either(program, sequence(depth)));
    return program;
  }

  Program sequence(int depth) {
    Program program;
    while (more() && peek() != '|' && peek() != ')') program = checked(std::move(program) + repeated(depth));
    return program;
  }

  Program repeated(int depth) {
    Program once = atom(depth);
    if (!more()) return once;
    Program program;
    if (take('*')) {
      program = star(once);
    } else if (take('+')) {
      program = once + star(once);
    } else if (take('?')) {
      program = optional(once);
    } else if (const auto range = counts()) {
      program = repeated(once, range->first, range->second);
    } else {
      return once;
    }
    take('?');  // lazy, which tells nothing of whether it matches
    if (more() && std::string_view("*+?").find(peek()) != std::string_view::npos) refuse();
    return checked(std::move(program));
  }

  // {m}, {m,}, {,n} or {m,n}; nothing, and `{` is itself, for anything else. No upper end: below zero.
  std::optional<std::pair<int, int>> counts() {
    const size_t begin = at_;
    const auto back = [&]() -> std::optional<std::pair<int, int>> {
      at_ = begin;
      return std::nullopt;
    };
    if (!take('{')) return std::nullopt;
    const std::optional<int> least = number();
    std::optional<int> most = least;
    const bool comma = take(',');
    if (comma) most = number();
    if (!take('}') || (!least && !comma)) return back();
    return std::pair(least.value_or(0), most.value_or(-1));
  }

  std::optional<int> number() {
    std::optional<int> value;
    while (std::isdigit(static_cast<unsigned char>(peek()))) {
      value = value.value_or(0) * 10 + (next() - '0');
      if (*value > kMostRepeats) refuse();
    }
    return value;
  }

  Program repeated(const Program& once, int least, int most) const {
    if (most >= 0 && most < least) refuse();
    Program program;
    for (int i = 0; i < least; ++i) program = checked(std::move(program) + once);
    if (most < 0) return checked(std::move(program) + star(once));
    for (int i = least; i < most; ++i) program = checked(std::move(program) + optional(once));
    return program;
  }

  Program atom(int depth) {
    const char c = next();
    switch (c) {
      case '(':
        return group(depth);
      case '[':
        return bytes(set());
      case '.':
        return bytes(~Bytes().set('\n'));
      case '^':
        return {step_of(Step::Kind::Begin)};
      case '$':
        return {step_of(Step::Kind::End)};
      case '\\':
        return bytes(escaped());
      case '*':
      case '+':
      case '?':
        refuse();
      default:
        return bytes(Bytes().set(static_cast<unsigned char>(c)));
    }
  }

  static Program bytes(const Bytes& taken) { return {{Step::Kind::Byte, taken, 1, 1}}; }

  Program group(int depth) {
    if (take('?') && !take(':')) refuse();
    Program inner = alternatives(depth + 1);
    if (!take(')')) refuse();
    return inner;
  }

  // What follows a backslash: a class of characters, or a character that is not a letter or digit and stands for
  // itself.
  Bytes escaped() {
    const char c = next();
    Bytes found;
    const auto fill = [&](int (*is)(int)) {
      for (int i = 0; i < 128; ++i) found.set(static_cast<size_t>(i), is(i) != 0);
    };
    switch (std::tolower(static_cast<unsigned char>(c))) {
      case 'd':
        fill(std::isdigit);
        break;
      case 'w':
        fill(std::isalnum);
        found.set('_');
        for (size_t i = 128; i < 256; ++i) found.set(i);  // letters, in UTF-8
        break;
      case 's':
        fill(std::isspace);
        break;
      default:
        if (std::isalnum(static_cast<unsigned char>(c))) refuse();
        return found.set(static_cast<unsigned char>(c));
    }
    return std::isupper(static_cast<unsigned char>(c)) ? ~found : found;
  }

  Bytes set() {
    const bool negated = take('^');
    Bytes found;
    bool first = true;
    while (first || peek() != ']') {
      first = false;
      const char c = next();
      if (c == '\\') {
        found |= escaped();
        continue;
      }
      const auto low = static_cast<unsigned char>(c);
      unsigned char high = low;
      if (peek() == '-' && at_ + 1 < text_.size() && text_[at_ + 1] != ']') {
        ++at_;
        high = static_cast<unsigned char>(next());
        if (high == '\\' || high < low) refuse();
      }
      for (unsigned value = low; value <= high; ++value) found.set(value);
    }
    ++at_;
    return negated ? ~found : found;
  }

  std::string_view subject_, text_;
  size_t at_ = 0;
};

// The steps that wait for a byte, or have matched, after all that lead on without one.
class Reached {
 public:
  explicit Reached(const Program& program) : program_(&program), seen_(program.size()) {}

  void add(size_t start, bool begin, bool end) {
    std::vector<size_t> open = {start};
    while (!open.empty()) {
      const size_t at = open.back();
      open.pop_back();
      if (seen_[at]) continue;
      seen_[at] = true;
      const Step& step = (*program_)[at];
      const auto on = [&](ptrdiff_t by) { open.push_back(static_cast<size_t>(static_cast<ptrdiff_t>(at) + by)); };
      if (step.kind == Step::Kind::Jump || step.kind == Step::Kind::Split) on(step.first);
      if (step.kind == Step::Kind::Split) on(step.other);
      if ((step.kind == Step::Kind::Begin && begin) || (step.kind == Step::Kind::End && end)) on(1);
      if (step.kind == Step::Kind::Byte || step.kind == Step::Kind::Match) steps_.push_back(at);
    }
  }
  const std::vector<size_t>& steps() const { return steps_; }

 private:
  const Program* program_;
  std::vector<bool> seen_;
  std::vector<size_t> steps_;
};

// Letters, digits, `_` and `-`, which stand for themselves, and `.`, which is any byte.
bool is_plain(std::string_view key) {
  return !key.empty() && std::ranges::all_of(key, [](unsigned char c) {
    return (c < 128 && std::isalnum(c) != 0) || c == '_' || c == '-' || c == '.';
  });
}

}  // namespace

ModulePattern::ModulePattern(std::string_view subject, std::string_view key) {
  if (key.size() > kMostBytes) fail(std::string(subject), "\"{}\" is too long an expression", printable(key, 60));
  if (is_plain(key)) {
    plain_ = key;
    return;
  }
  program_ = Compiler(subject, fmt::format("(.*\\.)?({})$", key)).all();
}

bool ModulePattern::matches_plainly(std::string_view module) const {
  if (module.size() < plain_.size()) return false;
  const std::string_view before = module.substr(0, module.size() - plain_.size());
  if (!before.empty() && (before.back() != '.' || before.find('\n') != before.npos)) return false;
  // From the end: names of modules differ there.
  return std::equal(plain_.rbegin(), plain_.rend(), module.rbegin(),
                    [](char key, char c) { return key == '.' ? c != '\n' : key == c; });
}

bool ModulePattern::matches(std::string_view module) const {
  if (!plain_.empty()) return matches_plainly(module);
  Reached now(program_);
  now.add(0, true, module.empty());
  for (size_t i = 0; i < module.size(); ++i) {
    Reached next(program_);
    for (const size_t at : now.steps()) {
      const Step& step = program_[at];
      if (step.kind == Step::Kind::Byte && step.bytes.test(static_cast<unsigned char>(module[i]))) {
        next.add(at + 1, false, i + 1 == module.size());
      }
    }
    now = std::move(next);
  }
  return std::ranges::any_of(now.steps(), [&](size_t at) { return program_[at].kind == Step::Kind::Match; });
}

}  // namespace gyro
