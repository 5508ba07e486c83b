#pragma once

#include <bitset>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace gyro {

/// A key of PEFT's rank_pattern or alpha_pattern, an expression of Python's `re` that a module's name is held against:
/// `re.match(r"(.*\.)?(KEY)$", name)`. Of re it has literals, `.`, sets, `\d \w \s` and their opposites, groups (also
/// `(?:...)`), `|`, `* + ? {m,n}` greedy or lazy, `^` and `$`. Matching takes time linear in the name; a key that is a
/// plain name is held against its end and no more.
class ModulePattern {
 public:
  /// Throws Error naming `subject` for what is no such expression, or a large one.
  ModulePattern(std::string_view subject, std::string_view key);
  bool matches(std::string_view module) const;
  /// The memory that it takes: steps of its program, none of a plain name.
  size_t steps() const { return program_.size(); }

  /// A step of the program that the expression is made into, for whoever compiles it.
  struct Step {
    enum class Kind { Byte, Split, Jump, Begin, End, Match };
    Kind kind = Kind::Match;
    std::bitset<256> bytes;          ///< Byte: those that it takes
    ptrdiff_t first = 1, other = 1;  ///< Jump, Split: how far on the program goes
  };

 private:
  bool matches_plainly(std::string_view module) const;

  std::string plain_;  // the key, if it is a name
  std::vector<Step> program_;
};

}  // namespace gyro
