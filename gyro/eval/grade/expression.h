#pragma once

#include <gmpxx.h>

#include <string>
#include <utility>
#include <vector>

namespace gyro::grading {

using Rational = mpq_class;

/// What a node of an answer's tree is. `name` and `args` of each:
enum class Kind {
  Number,    ///< `value`
  Symbol,    ///< a variable's name
  Constant,  ///< "pi", "e", "i", "infinity"
  Text,      ///< words, as written
  Sum,       ///< terms
  Product,   ///< factors
  Quotient,  ///< numerator, denominator
  Power,     ///< base, exponent
  Function,  ///< "sin", "sqrt", ...; arguments. "root": radicand, degree. "log": argument, base
  Signed,    ///< "pm" or "mp" before a term
  Quantity,  ///< a value; `name` is its unit
  Percent,   ///< a value
  Degree,    ///< a value
  Sequence,  ///< members in brackets: "()", "[)", "(]", "[]", "<>", "{}" (a set); "," for a bare list, ":" for a ratio
  SetOperation,  ///< "cup", "cap", "setminus"; sets
  Matrix,        ///< "ROWSxCOLUMNS"; entries by rows
  Relation       ///< signs with spaces between ("<= <"); one side more than signs
};

/// A tree that `parse` made is so shallow that recursion over it is safe.
struct Expression {
  Kind kind = Kind::Number;
  std::string name = {};
  Rational value = {};
  std::vector<Expression> args = {};
};

inline Expression number(Rational value) {
  return {Kind::Number, {}, std::move(value), {}};
}
inline Expression node(Kind kind, std::string name, std::vector<Expression> args) {
  return {kind, std::move(name), {}, std::move(args)};
}

}  // namespace gyro::grading
