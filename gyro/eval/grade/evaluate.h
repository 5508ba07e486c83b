#pragma once

#include <complex>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "gyro/eval/grade/expression.h"

namespace gyro::grading {

/// What may still be spent on one pair of answers; evaluation gives up where it is gone.
struct Budget {
  int64_t work = 500'000;
};

using Point = std::map<std::string, Rational>;  ///< values of the variables

/// How a percent sign is read: as a unit that is dropped, or as hundredths.
enum class PercentReading { Dropped, Hundredths };

enum class State {
  Value,      ///< there is one
  Undefined,  ///< there is none, as of 1/0
  Unknown     ///< it is not to be had this way: irrational, too large, no arithmetic, or the budget is gone
};

struct Exact {
  State state = State::Unknown;
  Rational value = {};
};
/// By rational arithmetic. Units count for nothing, and so does a degree sign.
Exact evaluate_exactly(const Expression& e, const Point& at, PercentReading percent, Budget& budget);

struct Approximate {
  State state = State::Unknown;
  std::complex<long double> value = {};
  long double error = 0;  ///< the value is right to this, absolute
  bool real = true;       ///< no root or logarithm of real numbers on the way has left the real line
};
/// By complex arithmetic with principal values, but for odd roots of negative numbers, which are real. Within a
/// trigonometric function a degree sign is pi/180.
Approximate evaluate(const Expression& e, const Point& at, PercentReading percent, Budget& budget);

/// The names of an expression's variables, added to `names`.
void collect_variables(const Expression& e, std::set<std::string>& names);

/// Whether a node that `matches` is in the tree.
bool contains(const Expression& e, const std::function<bool(const Expression&)>& matches);

}  // namespace gyro::grading
