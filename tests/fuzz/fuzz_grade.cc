#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <string>
#include <vector>

#include "gyro/eval/grade/grade.h"
#include "tests/fuzz/fuzz.h"

using gyro::grading::Decision;
using gyro::grading::Verdict;

static void check(const Decision& decision, bool cut) {
  if (decision.rule.empty()) std::abort();
  if (decision.verdict == Verdict::Correct && decision.extracted.empty()) std::abort();
  if (decision.verdict == Verdict::NoAnswer && (!cut || !decision.extracted.empty())) std::abort();
}

static bool has_letter_or_digit(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](unsigned char c) { return c < 0x80 && std::isalnum(c) != 0; });
}

// The first line is the gold, the rest the output. Whatever they are, a decision is reached and is consistent.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const std::vector<std::string> choices = {"Paris", "\\frac{1}{2}", "12", "none"};
  const std::string_view text = gyro::as_text(data, size);
  const std::string_view gold = text.substr(0, text.find('\n'));
  const std::string_view output = gold.size() < text.size() ? text.substr(gold.size() + 1) : std::string_view();
  for (const std::string& name : gyro::grading::policy_names()) {
    for (const bool cut : {false, true}) {
      const auto grade = gyro::grading::grade({*gyro::grading::policy_of(name), gold, output, cut, choices});
      check(grade.strict, cut);
      check(grade.flexible, cut);
    }
  }
  if (has_letter_or_digit(gold) && !gyro::grading::math_equal(gold, gold) && gold.find('\\') == gold.npos) std::abort();
  if (gyro::grading::math_equal(gold, output).has_value() != gyro::grading::math_equal(output, gold).has_value())
    std::abort();
  return 0;
}
