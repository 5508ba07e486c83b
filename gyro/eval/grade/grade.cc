#include "gyro/eval/grade/grade.h"

#include <array>

#include "gyro/eval/grade/choice.h"
#include "gyro/eval/grade/extract.h"
#include "gyro/eval/grade/normal.h"
#include "gyro/eval/grade/parse.h"

namespace gyro::grading {
namespace {

using Rule = std::optional<std::string_view>;

constexpr std::array<std::string_view, 4> kPolicies = {"boxed", "gsm8k", "math", "choice"};

Rule boxed_equal(std::string_view gold, std::string_view answer) {
  if (same_text(gold, answer)) return "boxed-exact";
  const auto value = lone_number(gold);
  return value && value == lone_number(answer) ? Rule("number-equal") : std::nullopt;
}

Rule number_equal(std::string_view gold, std::string_view answer) {
  const auto of_gold = lone_number(gold), of_answer = lone_number(answer);
  if (of_gold && of_answer) return of_gold == of_answer ? Rule("number-equal") : std::nullopt;
  return math_equal(gold, answer);
}

Rule equal(const GradeRequest& request, std::string_view gold, std::string_view answer) {
  switch (request.policy) {
    case Policy::Boxed:
      return boxed_equal(gold, answer);
    case Policy::Gsm8k:
      return number_equal(gold, answer);
    case Policy::Math:
      return math_equal(gold, answer);
    case Policy::Choice:
      return choice_equal(gold, answer, request.choices);
  }
  return std::nullopt;
}

// The answer within a gold that may be a whole solution.
std::string_view answer_of_gold(const GradeRequest& request) {
  const auto box = boxes(request.gold).last;
  const auto number = request.policy == Policy::Gsm8k ? after_hashes(request.gold) : std::nullopt;
  if (number && (!box || number->end > box->end)) return number->text;
  if (box) return box->text;
  const std::string_view gold = trimmed(request.gold);
  const auto formula = leading_formula(gold);
  return formula && gold.size() - formula->end <= 2 ? formula->text : gold;  // $x$, \(x\)
}

// What stands in the form that the policy asks for.
std::optional<Piece> in_form(const GradeRequest& request, std::string_view text) {
  const auto box = boxes(text).last;
  std::optional<Piece> other;
  if (request.policy == Policy::Gsm8k) other = after_hashes(text);
  if (request.policy == Policy::Choice) other = answer_line(text);
  if (other && request.policy == Policy::Choice && !letter_of(other->text, request.choices)) other.reset();
  return other && (!box || other->end > box->end) ? other : box;
}

// Within "the answer is ...": the letter, number or formula that it begins with, its last one, or all of it.
std::optional<Piece> in_sentence(const GradeRequest& request, std::string_view text) {
  const auto sentence = answer_sentence(text);
  if (!sentence) return std::nullopt;
  if (request.policy == Policy::Choice) {
    const auto letter = leading_letter(sentence->text, request.choices);
    return letter ? std::optional<Piece>({*letter, sentence->end}) : std::nullopt;
  }
  if (request.policy == Policy::Gsm8k) {
    const bool calculated = sentence->text.find('=') != std::string_view::npos;
    return calculated ? last_value(sentence->text, true) : first_number(sentence->text);
  }
  if (const auto formula = leading_formula(sentence->text)) return formula;
  const auto value = has_words(sentence->text, 4) ? last_value(sentence->text, false) : std::nullopt;
  return value ? value : sentence;
}

std::optional<Piece> last_of_any(const GradeRequest& request, std::string_view text) {
  const std::string_view all = trimmed(text);
  if (request.policy == Policy::Choice) {
    return letter_of(all, request.choices) ? Piece{all, text.size()} : last_letter(text, request.choices);
  }
  const bool bare = !all.empty() && all.size() <= kMaxAnswer && all.find_first_of("\n$") == std::string_view::npos;
  if (bare && !has_words(all, 2) && all.find("box") == std::string_view::npos)
    return Piece{all, text.size()};  // nothing but an answer
  return last_value(text, request.policy == Policy::Gsm8k);
}

// Flexible's order within one zone.
std::optional<std::string_view> flexible_answer(const GradeRequest& request, std::string_view text) {
  const auto form = in_form(request, text);
  if (form && !form->text.empty()) return form->text;
  if (const auto sentence = in_sentence(request, text)) return sentence->text;
  if (request.cut) return std::nullopt;
  if (const auto last = last_of_any(request, text)) return last->text;
  return std::nullopt;
}

Decision decide(const GradeRequest& request, std::string_view gold, std::optional<std::string_view> answer) {
  if (!answer) return {request.cut ? Verdict::NoAnswer : Verdict::Wrong, {}, "no-answer"};
  if (answer->empty()) return {Verdict::Wrong, {}, "empty-answer"};
  const Rule rule = equal(request, gold, *answer);
  return {rule ? Verdict::Correct : Verdict::Wrong, std::string(*answer), std::string(rule.value_or("not-equal"))};
}

// Where a formula shows how the answer came about, what follows its last equals sign is one reading of it.
Decision decide_flexibly(const GradeRequest& request, std::string_view gold, std::optional<std::string_view> answer) {
  Decision decision = decide(request, gold, answer);
  const size_t sign = answer && request.policy != Policy::Choice ? answer->rfind('=') : std::string_view::npos;
  if (decision.verdict == Verdict::Correct || sign == std::string_view::npos) return decision;
  if (gold.find('=') != std::string_view::npos) return decision;
  Decision of_last = decide(request, gold, trimmed(answer->substr(sign + 1)));
  return of_last.verdict == Verdict::Correct ? of_last : decision;
}

}  // namespace

std::string_view policy_name(Policy policy) {
  return kPolicies[static_cast<size_t>(policy)];
}

std::optional<Policy> policy_of(std::string_view name) {
  for (size_t i = 0; i < kPolicies.size(); ++i) {
    if (kPolicies[i] == name) return static_cast<Policy>(i);
  }
  return std::nullopt;
}

std::vector<std::string> policy_names() {
  return {kPolicies.begin(), kPolicies.end()};
}

std::string_view verdict_name(Verdict verdict) {
  switch (verdict) {
    case Verdict::Correct:
      return "correct";
    case Verdict::Wrong:
      return "wrong";
    case Verdict::NoAnswer:
      return "N/A";
  }
  return "";
}

Grade grade(const GradeRequest& request) {
  const std::string_view gold = answer_of_gold(request);
  const Zones zones = zones_of(request.output);
  std::optional<std::string_view> strict;
  const bool unfinished = request.cut && boxes(zones.answer).open;
  if (const auto form = in_form(request, zones.answer); form && !unfinished) strict = form->text;
  auto flexible = flexible_answer(request, zones.answer);
  if (!flexible) flexible = flexible_answer(request, zones.thinking);
  Grade out;
  out.strict = decide(request, gold, strict);
  if (flexible == strict && strict && flexible->data() == strict->data()) {
    out.flexible = out.strict;
  } else {
    out.flexible = decide_flexibly(request, gold, flexible);
  }
  if (!flexible && strict) out.flexible = out.strict;  // an empty box, and nothing else
  return out;
}

}  // namespace gyro::grading
