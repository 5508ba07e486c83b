#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace gyro::grading {

/// How an answer is asked for, and what makes it right.
enum class Policy {
  Boxed,  ///< "boxed": the text of the last `\boxed{}`, the same as the gold's but for white space and LaTeX's spacing;
          ///< numbers by value
  Gsm8k,  ///< "gsm8k": a number in the last `\boxed{}` or after the last "####", by its exact value; commas, currency,
          ///< percent signs, units and a full stop aside
  Math,   ///< "math": the last `\boxed{}`, equal as mathematics (see `math_equal`)
  Choice  ///< "choice": a letter in the last `\boxed{}` or on the last line "Answer: X", in any dress, or the option's
          ///< text
};

std::string_view policy_name(Policy policy);
/// Nothing for what is no name of one.
std::optional<Policy> policy_of(std::string_view name);
/// All names, in the order of the enum.
std::vector<std::string> policy_names();

enum class Verdict {
  Correct,  ///< "correct"
  Wrong,    ///< "wrong"; also an output that ended by itself and gives no answer
  NoAnswer  ///< "N/A": an output that was cut at its limit before it gave an answer
};

std::string_view verdict_name(Verdict verdict);

struct Decision {
  Verdict verdict = Verdict::Wrong;
  std::string extracted;  ///< the answer as it stands in the output; empty for none
  std::string rule;       ///< what decided, such as "number-equal"; docs/grading.md lists them
};

/// Two readings of one output. `strict` takes an answer only in the form that the policy asks for, and of an output
/// that thinks only what follows the last `</think>`. `flexible` takes what strict does, and where that is nothing or
/// an empty box: a sentence ("the answer is 5"), then the last number, letter or formula; then the same within the
/// thinking. Of several answers the last complete one counts.
///
/// An empty box is an answer, and wrong. An output that was cut inside of a box has no strict answer, whatever stood
/// before; one that was cut within its thinking has none either. Of an output that was cut, flexible takes no bare
/// number, letter or formula: the last one before the cut is no answer.
struct Grade {
  Decision strict, flexible;
};

struct GradeRequest {
  Policy policy = Policy::Math;
  std::string_view gold;    ///< the answer, or a solution that ends in "#### N" or has it in `\boxed{}`
  std::string_view output;  ///< what the model wrote; any bytes
  bool cut = false;         ///< it reached its limit of tokens
  std::span<const std::string> choices = {};  ///< of Choice: the options' texts, A first; may be empty
};

/// Takes time that goes as the output's length: answers of more than 4096 bytes, or in more than some fifty brackets,
/// are compared as text only, and arithmetic has a budget (and numbers at most 2^15 bits). What is not decided within
/// it is not equal.
Grade grade(const GradeRequest& request);

/// The rule by which two answers in LaTeX or plain notation are equal as mathematics, or nothing. Symmetric. Rational
/// numbers are equal exactly or not at all (0.333 is not 1/3), and so are rational functions, by their exact values at
/// several points. Other expressions are evaluated with a bound of their rounding error at several points, of both
/// signs, at those where they are real; they are equal where they differ by no more than the bound and the bound is
/// small.
std::optional<std::string_view> math_equal(std::string_view a, std::string_view b);

}  // namespace gyro::grading
