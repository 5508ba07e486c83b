#include "gyro/eval/grade/scalar_equal.h"

#include <algorithm>
#include <cmath>

#include "gyro/base/random.h"

namespace gyro::grading {
namespace {

constexpr int kExactPoints = 6, kApproximatePoints = 12;
constexpr int kLeastValid = 3;
constexpr size_t kMaxVariables = 40;
// A bound of the difference is small below this: relative, and absolute where both are zero.
constexpr long double kSmallRelative = 1e-10L, kSmallAbsolute = 1e-12L;

enum class Answer { Equal, Different, Undecided };

struct Readings {
  PercentReading a, b;
};

struct Sides {
  const Expression &a, &b;
  Readings readings;
  std::set<std::string> variables;
  bool whole_numbers;  // the variables are arguments of factorials
};

int64_t between(Random& random, int64_t least, int64_t most) {
  return least + static_cast<int64_t>(random.bits() % static_cast<uint64_t>(most - least + 1));
}

// Whole numbers first, then fractions of both signs, all of them far from those that one would make two answers agree
// at.
Point exact_point(const Sides& sides, int index) {
  Random random(0x6f70 + static_cast<uint64_t>(index));
  Point point;
  for (const std::string& name : sides.variables) {
    if (index < kExactPoints / 2 || sides.whole_numbers) {
      point[name] = Rational(between(random, 3, 40));
    } else {
      point[name] = Rational(between(random, -4000, 4000) * 2 + 1, between(random, 2, 97));
      point[name].canonicalize();
    }
  }
  return point;
}

// A third of them all positive, where most formulas are real.
Point approximate_point(const Sides& sides, int index) {
  if (sides.whole_numbers) return exact_point(sides, index);
  Random random(0x7a11 + static_cast<uint64_t>(index));
  Point point;
  for (const std::string& name : sides.variables) {
    const int64_t sign = index < kApproximatePoints / 3 || between(random, 0, 1) == 0 ? 1 : -1;
    point[name] = Rational(sign * (2 * between(random, 40, 1400) + 1), 1024);
  }
  return point;
}

Answer exactly(const Sides& sides, Budget& budget) {
  int valid = 0;
  for (int i = 0; i < (sides.variables.empty() ? 1 : kExactPoints); ++i) {
    const Point point = exact_point(sides, i);
    const Exact a = evaluate_exactly(sides.a, point, sides.readings.a, budget);
    const Exact b = evaluate_exactly(sides.b, point, sides.readings.b, budget);
    if (a.state == State::Unknown || b.state == State::Unknown) return Answer::Undecided;
    if (a.state != State::Value || b.state != State::Value) continue;
    if (a.value != b.value) return Answer::Different;
    ++valid;
  }
  return valid >= (sides.variables.empty() ? 1 : kLeastValid) ? Answer::Equal : Answer::Undecided;
}

Answer agree(const Approximate& a, const Approximate& b) {
  const long double bound = a.error + b.error;
  if (std::abs(a.value - b.value) > bound) return Answer::Different;
  const long double size = std::max(std::abs(a.value), std::abs(b.value));
  return bound <= std::max(kSmallRelative * size, kSmallAbsolute) ? Answer::Equal : Answer::Undecided;
}

// Only values on the real line count, unless there are none: formulas of real variables are equal where they are real.
Answer approximately(const Sides& sides, Budget& budget) {
  const bool constants = sides.variables.empty();
  int valid = 0, valid_beyond = 0;
  bool differ_beyond = false;
  for (int i = 0; i < (constants ? 1 : kApproximatePoints); ++i) {
    const Point point = approximate_point(sides, i);
    const Approximate a = evaluate(sides.a, point, sides.readings.a, budget);
    const Approximate b = evaluate(sides.b, point, sides.readings.b, budget);
    if (a.state != State::Value || b.state != State::Value) continue;
    if (a.real != b.real && !constants) return Answer::Different;
    const Answer answer = agree(a, b);
    if (a.real || constants) {
      if (answer == Answer::Different) return answer;
      valid += answer == Answer::Equal ? 1 : 0;
    } else {
      differ_beyond |= answer == Answer::Different;
      valid_beyond += answer == Answer::Equal ? 1 : 0;
    }
  }
  const int least = constants ? 1 : kLeastValid;
  if (valid >= least || (valid == 0 && !differ_beyond && valid_beyond >= least)) return Answer::Equal;
  return Answer::Undecided;
}

std::optional<std::string_view> equal_as_read(const Sides& sides, Budget& budget) {
  const Answer exact = exactly(sides, budget);
  if (exact == Answer::Equal) return sides.variables.empty() ? "number-equal" : "symbolic-equal";
  if (exact == Answer::Different) return std::nullopt;
  if (approximately(sides, budget) == Answer::Equal) return "evaluated-equal";
  return std::nullopt;
}

bool has_percent(const Expression& e) {
  return contains(e, [](const Expression& part) { return part.kind == Kind::Percent; });
}

Sides sides_of(const Expression& a, const Expression& b) {
  const auto counts = [](const Expression& part) {
    return part.kind == Kind::Function && (part.name == "factorial" || part.name == "binomial");
  };
  Sides sides{a, b, {PercentReading::Dropped, PercentReading::Dropped}, {}, contains(a, counts) || contains(b, counts)};
  collect_variables(a, sides.variables);
  collect_variables(b, sides.variables);
  return sides;
}

}  // namespace

std::optional<std::string_view> scalar_equal(const Expression& a, const Expression& b, Budget& budget) {
  Sides sides = sides_of(a, b);
  if (sides.variables.size() > kMaxVariables) return std::nullopt;
  if (const auto rule = equal_as_read(sides, budget)) return rule;
  const bool of_a = has_percent(a), of_b = has_percent(b);
  if (of_a == of_b) return std::nullopt;
  sides.readings = {of_a ? PercentReading::Hundredths : PercentReading::Dropped,
                    of_b ? PercentReading::Hundredths : PercentReading::Dropped};
  return equal_as_read(sides, budget) ? std::optional<std::string_view>("percent-equal") : std::nullopt;
}

bool proportional(const Expression& a, const Expression& b, bool positive, Budget& budget) {
  const Sides sides = sides_of(a, b);
  if (sides.variables.empty() || sides.variables.size() > kMaxVariables) return false;
  std::optional<Approximate> factor;
  bool varies = false;
  int valid = 0;
  std::optional<std::complex<long double>> first;
  for (int i = 0; i < kApproximatePoints; ++i) {
    const Point point = approximate_point(sides, i);
    const Approximate x = evaluate(a, point, PercentReading::Dropped, budget);
    const Approximate y = evaluate(b, point, PercentReading::Dropped, budget);
    if (x.state != State::Value || y.state != State::Value) continue;
    const auto size = std::abs(y.value);
    if (size <= 1e-6L || std::abs(x.value) <= 1e-6L) {  // both are zero, or it is no place to divide at
      if (agree(x, y) == Answer::Different && (x.value == 0.0L || y.value == 0.0L)) return false;
      continue;
    }
    const Approximate ratio{
        State::Value, x.value / y.value,
        (x.error + std::abs(x.value) / size * y.error) / size * 4 + 1e-18L * std::abs(x.value) / size, true};
    if (factor && agree(*factor, ratio) != Answer::Equal) return false;
    if (first && std::abs(*first - x.value) > 1e-9L) varies = true;
    if (!first) first = x.value;
    if (!factor) factor = ratio;
    ++valid;
  }
  return valid >= kLeastValid && varies && (!positive || factor->value.real() > 0);
}

}  // namespace gyro::grading
