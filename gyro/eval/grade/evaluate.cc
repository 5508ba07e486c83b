#include "gyro/eval/grade/evaluate.h"

#include <cmath>
#include <limits>
#include <numbers>

namespace gyro::grading {
namespace {

using Real = long double;
using Complex = std::complex<Real>;

// Four times what one operation of the library rounds.
constexpr Real kRounding = 4 * std::numeric_limits<Real>::epsilon();
constexpr unsigned long kMostProducts = 256;
constexpr Real kPi = std::numbers::pi_v<Real>;

const Approximate kUnknown{State::Unknown, {}, 0, true};
const Approximate kUndefined{State::Undefined, {}, 0, true};

Approximate made(Complex value, Real error, bool real) {
  if (!std::isfinite(value.real()) || !std::isfinite(value.imag()) || !std::isfinite(error)) return kUndefined;
  return {State::Value, value, error + kRounding * std::abs(value), real};
}

bool on_real_line(const Approximate& x) {
  return x.value.imag() == 0;
}

// The nearest long double: the leading 64 bits of both parts, and their exponents.
Approximate from_rational(const Rational& value) {
  if (value == 0) return {State::Value, 0, 0, true};
  const auto scaled = [](const mpz_class& n, long& exponent) {
    const size_t size = mpz_sizeinbase(n.get_mpz_t(), 2);
    exponent = size > 64 ? static_cast<long>(size - 64) : 0;
    mpz_class top = abs(n);
    mpz_tdiv_q_2exp(top.get_mpz_t(), top.get_mpz_t(), static_cast<mp_bitcnt_t>(exponent));
    const mpz_class high = top >> 32, low = top & mpz_class(0xffffffffUL);
    return std::ldexp(static_cast<Real>(high.get_d()), 32) + static_cast<Real>(low.get_d());
  };
  long up = 0, down = 0;
  const Real above = scaled(value.get_num(), up), below = scaled(value.get_den(), down);
  const Real size = std::ldexp(above / below, static_cast<int>(up - down));
  return made(value < 0 ? -size : size, 0, true);
}

Approximate plus(const Approximate& a, const Approximate& b) {
  return made(a.value + b.value, a.error + b.error, a.real && b.real);
}

Approximate times(const Approximate& a, const Approximate& b) {
  const Real error = std::abs(a.value) * b.error + std::abs(b.value) * a.error + a.error * b.error;
  return made(a.value * b.value, error, a.real && b.real);
}

// Undefined where the divisor may be zero.
Approximate over(const Approximate& a, const Approximate& b) {
  const Real size = std::abs(b.value);
  if (size <= b.error * 2) return size == 0 ? kUndefined : kUnknown;
  const Complex value = a.value / b.value;
  return made(value, (a.error + std::abs(value) * b.error) / (size - b.error), a.real && b.real);
}

// f(x) for an f whose slope near x is at most `slope`.
Approximate smooth(const Approximate& x, Complex value, Real slope, bool real = true) {
  return made(value, 2 * slope * x.error, x.real && real);
}

// On the cut of a root or logarithm, the sign of a rounding error would choose the value.
bool near_cut(const Approximate& x) {
  return x.value.real() <= x.error && x.value.imag() != 0 && std::abs(x.value.imag()) <= x.error;
}

Approximate logarithm(const Approximate& x) {
  const Real size = std::abs(x.value);
  if (size <= x.error * 2) return size == 0 ? kUndefined : kUnknown;
  if (near_cut(x)) return kUnknown;
  const bool leaves = on_real_line(x) && x.value.real() < 0;
  return smooth(x, std::log(x.value), 1 / (size - x.error), !leaves);
}

Approximate exponential(const Approximate& x) {
  if (x.error > 1) return kUnknown;
  const Complex value = std::exp(x.value);
  return smooth(x, value, 2 * std::abs(value));
}

Approximate square_root(const Approximate& x) {
  const Real size = std::abs(x.value);
  if (size <= x.error * 2) return made(std::sqrt(x.value), std::sqrt(size + x.error), x.real);
  if (near_cut(x)) return kUnknown;
  const bool leaves = on_real_line(x) && x.value.real() < 0;
  return smooth(x, std::sqrt(x.value), 1 / std::sqrt(size - x.error), !leaves);
}

// The real root of a real number, of odd degree.
Approximate odd_root(const Approximate& x, Real degree) {
  const Real size = std::abs(x.value.real());
  if (size <= x.error * 2) return size == 0 ? x : kUnknown;
  const Real root = std::pow(size, 1 / degree);
  return smooth(x, x.value.real() < 0 ? -root : root, root / (size - x.error));
}

Approximate whole_power(Approximate base, unsigned long n) {
  Approximate out{State::Value, 1, 0, true};
  for (; n != 0; n >>= 1) {
    if ((n & 1) != 0) out = times(out, base);
    if (n > 1) base = times(base, base);
    if (out.state != State::Value || base.state != State::Value) return kUnknown;
  }
  return out;
}

struct Evaluation {
  const Point& at;
  PercentReading percent;
  Budget& budget;

  Approximate of(const Expression& e, bool in_angle) const {
    if (--budget.work < 0) return kUnknown;
    switch (e.kind) {
      case Kind::Number:
        return from_rational(e.value);
      case Kind::Symbol: {
        const auto found = at.find(e.name);
        return found == at.end() ? kUnknown : from_rational(found->second);
      }
      case Kind::Constant:
        return constant(e.name);
      case Kind::Sum:
      case Kind::Product:
        return folded(e, in_angle);
      case Kind::Quotient:
        return with_two(e, in_angle, over);
      case Kind::Power:
        return power(e, in_angle);
      case Kind::Function:
        return function(e, in_angle);
      case Kind::Quantity:
        return of(e.args[0], in_angle);
      case Kind::Degree:
        return scaled(e.args[0], in_angle, in_angle ? kPi / 180 : 1);
      case Kind::Percent:
        return scaled(e.args[0], in_angle, percent == PercentReading::Hundredths ? Real(1) / 100 : 1);
      default:
        return kUnknown;
    }
  }

  static Approximate constant(const std::string& name) {
    if (name == "pi") return made(kPi, 0, true);
    if (name == "e") return made(std::numbers::e_v<Real>, 0, true);
    if (name == "i") return {State::Value, Complex(0, 1), 0, true};
    return kUnknown;
  }

  Approximate folded(const Expression& e, bool in_angle) const {
    Approximate out = of(e.args.front(), in_angle);
    for (size_t i = 1; i < e.args.size() && out.state == State::Value; ++i) {
      const Approximate next = of(e.args[i], in_angle);
      if (next.state != State::Value) return next;
      out = e.kind == Kind::Sum ? plus(out, next) : times(out, next);
    }
    return out;
  }

  template <typename Operation>
  Approximate with_two(const Expression& e, bool in_angle, Operation operation) const {
    const Approximate a = of(e.args[0], in_angle);
    if (a.state != State::Value) return a;
    const Approximate b = of(e.args[1], in_angle);
    return b.state == State::Value ? operation(a, b) : b;
  }

  Approximate scaled(const Expression& e, bool in_angle, Real factor) const {
    const Approximate x = of(e, in_angle);
    if (x.state != State::Value || factor == 1) return x;
    return times(x, made(factor, 0, true));
  }

  Approximate power(const Expression& e, bool in_angle) const {
    const Approximate base = of(e.args[0], in_angle);
    if (base.state != State::Value) return base;
    const Exact exponent = evaluate_exactly(e.args[1], at, percent, budget);
    if (exponent.state == State::Value) return rational_power(base, exponent.value);
    const Approximate general = of(e.args[1], in_angle);
    if (general.state != State::Value) return general;
    const Approximate log = logarithm(base);
    return log.state == State::Value ? exponential(times(log, general)) : log;
  }

  static Approximate rational_power(const Approximate& base, const Rational& exponent) {
    const Approximate one{State::Value, 1, 0, true};
    const mpz_class above = abs(exponent.get_num()), &below = exponent.get_den();
    if (above > kMostProducts || below > kMostProducts) return logarithmic_power(base, exponent);
    const Approximate root = below == 1 ? base : rooted(base, below.get_ui());
    if (root.state != State::Value) return root;
    const Approximate powered = whole_power(root, above.get_ui());
    return exponent < 0 && powered.state == State::Value ? over(one, powered) : powered;
  }

  // exp(exponent log base): its error does not grow with the numerator, as that of repeated products does.
  static Approximate logarithmic_power(Approximate base, const Rational& exponent) {
    const bool real = on_real_line(base) && base.value.real() < 0 && mpz_odd_p(exponent.get_den_mpz_t()) != 0;
    if (real) base.value = -base.value;
    const Approximate log = logarithm(base);
    if (log.state != State::Value) return log;
    Approximate power = exponential(times(log, from_rational(exponent)));
    if (real && mpz_odd_p(exponent.get_num_mpz_t()) != 0) power.value = -power.value;
    return power;
  }

  static Approximate rooted(const Approximate& x, unsigned long degree) {
    if (degree == 2) return square_root(x);
    if (degree % 2 == 1 && on_real_line(x)) return odd_root(x, static_cast<Real>(degree));
    if (x.value == Complex(0) && x.error == 0) return x;
    const Approximate log = logarithm(x);
    if (log.state != State::Value) return log;
    return exponential(over(log, {State::Value, static_cast<Real>(degree), 0, true}));
  }

  Approximate function(const Expression& e, bool in_angle) const {
    const Exact exact = evaluate_exactly(e, at, percent, budget);  // factorials, steps, roots of squares
    if (exact.state == State::Value) return from_rational(exact.value);
    const bool angle =
        e.name == "sin" || e.name == "cos" || e.name == "tan" || e.name == "cot" || e.name == "sec" || e.name == "csc";
    const Approximate x = of(e.args[0], in_angle || angle);
    if (x.state != State::Value) return x;
    if (e.name == "root") {
      const Exact degree = evaluate_exactly(e.args[1], at, percent, budget);
      const bool whole = degree.state == State::Value && degree.value.get_den() == 1 && degree.value > 0 &&
                         degree.value.get_num().fits_ulong_p();
      return whole ? rooted(x, degree.value.get_num().get_ui()) : kUnknown;
    }
    if (e.name == "log") {
      const Approximate base = of(e.args[1], in_angle);
      return base.state == State::Value ? quotient(logarithm(x), logarithm(base)) : base;
    }
    return of_one(e.name, x);
  }

  static Approximate quotient(const Approximate& a, const Approximate& b) {
    if (a.state != State::Value) return a;
    return b.state == State::Value ? over(a, b) : b;
  }

  static Approximate of_one(const std::string& name, const Approximate& x) {
    if (name == "sqrt") return square_root(x);
    if (name == "ln") return logarithm(x);
    if (name == "exp") return exponential(x);
    if (name == "abs") return made(std::abs(x.value), x.error, x.real);
    if (name == "arctan" && on_real_line(x)) return smooth(x, std::atan(x.value.real()), 1);
    if ((name == "arcsin" || name == "arccos") && on_real_line(x)) return arc(name, x);
    if (x.error > 1 || std::abs(x.value) > 1e6L) return kUnknown;  // a turn, or too many of them
    return periodic(name, x);
  }

  static Approximate arc(const std::string& name, const Approximate& x) {
    const Real v = x.value.real(), inside = 1 - v * v;
    if (inside < 0) return {State::Undefined, {}, 0, false};
    const Real slope = 1 / std::sqrt(std::max(inside - 2 * x.error, x.error * x.error + kRounding * kRounding));
    if (inside <= 4 * x.error && inside != 0) return kUnknown;
    return smooth(x, name == "arcsin" ? std::asin(v) : std::acos(v), inside == 0 ? std::sqrt(kRounding) : slope);
  }

  static Approximate periodic(const std::string& name, const Approximate& x) {
    const Approximate one{State::Value, 1, 0, true};
    const bool hyperbolic = name.ends_with('h');
    const Real slope = 2 * std::cosh(hyperbolic ? x.value.real() : x.value.imag());
    const Approximate sin = smooth(x, hyperbolic ? std::sinh(x.value) : std::sin(x.value), slope);
    const Approximate cos = smooth(x, hyperbolic ? std::cosh(x.value) : std::cos(x.value), slope);
    if (name == "sin" || name == "sinh") return sin;
    if (name == "cos" || name == "cosh") return cos;
    if (name == "tan" || name == "tanh") return quotient(sin, cos);
    if (name == "cot") return quotient(cos, sin);
    if (name == "sec") return quotient(one, cos);
    if (name == "csc") return quotient(one, sin);
    return kUnknown;
  }
};

}  // namespace

Approximate evaluate(const Expression& e, const Point& at, PercentReading percent, Budget& budget) {
  return Evaluation{at, percent, budget}.of(e, false);
}

}  // namespace gyro::grading
