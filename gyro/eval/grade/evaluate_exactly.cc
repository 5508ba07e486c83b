#include <algorithm>

#include "gyro/eval/grade/evaluate.h"

namespace gyro::grading {
namespace {

constexpr size_t kMaxBits = size_t{1} << 15;
constexpr unsigned long kMaxFactorial = 2000;

const Exact kUnknown{State::Unknown, {}};
const Exact kUndefined{State::Undefined, {}};

size_t bits(const Rational& value) {
  return mpz_sizeinbase(value.get_num_mpz_t(), 2) + mpz_sizeinbase(value.get_den_mpz_t(), 2);
}

Exact exact(Rational value) {
  return {State::Value, std::move(value)};
}

// base^n for a whole n, if it is not too large.
Exact whole_power(const Rational& base, const mpz_class& n) {
  if (base == 0) return n > 0 ? exact(0) : kUndefined;
  if (base == 1) return exact(1);
  if (base == -1) return exact(mpz_odd_p(n.get_mpz_t()) != 0 ? -1 : 1);
  if (!n.fits_slong_p()) return kUnknown;
  const long exponent = n.get_si();
  const auto size = static_cast<unsigned long>(exponent < 0 ? -exponent : exponent);
  if (size > kMaxBits || bits(base) * size > kMaxBits) return kUnknown;
  mpz_class above, below;
  mpz_pow_ui(above.get_mpz_t(), base.get_num_mpz_t(), size);
  mpz_pow_ui(below.get_mpz_t(), base.get_den_mpz_t(), size);
  Rational value = exponent < 0 ? Rational(below, above) : Rational(above, below);
  value.canonicalize();
  return exact(std::move(value));
}

// The root of a whole degree, where it is rational.
Exact exact_root(const Rational& value, const mpz_class& degree) {
  if (degree <= 0) return kUndefined;
  if (!degree.fits_ulong_p() || degree.get_ui() > kMaxBits) return kUnknown;
  const unsigned long n = degree.get_ui();
  if (value < 0 && n % 2 == 0) return kUnknown;  // not real
  mpz_class above, below;
  const bool perfect = mpz_root(above.get_mpz_t(), value.get_num_mpz_t(), n) != 0 &&
                       mpz_root(below.get_mpz_t(), value.get_den_mpz_t(), n) != 0;
  return perfect ? exact(Rational(above, below)) : kUnknown;
}

Exact power(const Rational& base, const Rational& exponent) {
  if (exponent.get_den() == 1) return whole_power(base, exponent.get_num());
  if (base == 0) return exponent > 0 ? exact(0) : kUndefined;
  const Exact root = exact_root(base, exponent.get_den());
  return root.state == State::Value ? whole_power(root.value, exponent.get_num()) : root;
}

Exact factorial(const Rational& n) {
  if (n.get_den() != 1) return kUnknown;
  if (n < 0) return kUndefined;
  if (n > kMaxFactorial) return kUnknown;
  mpz_class value;
  mpz_fac_ui(value.get_mpz_t(), n.get_num().get_ui());
  return exact(Rational(value));
}

Exact binomial(const Rational& n, const Rational& k) {
  if (n.get_den() != 1 || k.get_den() != 1 || k < 0 || n < 0) return kUnknown;
  if (k > n) return exact(0);
  if (n > kMaxFactorial) return kUnknown;
  mpz_class value;
  mpz_bin_uiui(value.get_mpz_t(), n.get_num().get_ui(), k.get_num().get_ui());
  return exact(Rational(value));
}

Exact rounded(const Rational& value, bool up) {
  mpz_class out;
  if (up) {
    mpz_cdiv_q(out.get_mpz_t(), value.get_num_mpz_t(), value.get_den_mpz_t());
  } else {
    mpz_fdiv_q(out.get_mpz_t(), value.get_num_mpz_t(), value.get_den_mpz_t());
  }
  return exact(Rational(out));
}

Exact function(const std::string& name, const std::vector<Rational>& args) {
  const Rational& x = args.front();
  if (name == "sqrt") return exact_root(x, 2);
  if (name == "root") return args[1].get_den() == 1 ? exact_root(x, args[1].get_num()) : kUnknown;
  if (name == "abs") return exact(abs(x));
  if (name == "floor") return rounded(x, false);
  if (name == "ceil") return rounded(x, true);
  if (name == "factorial") return factorial(x);
  if (name == "binomial") return binomial(x, args[1]);
  return kUnknown;
}

struct Evaluation {
  const Point& at;
  PercentReading percent;
  Budget& budget;

  Exact of(const Expression& e) const {
    switch (e.kind) {
      case Kind::Number:
        return spend(exact(e.value));
      case Kind::Symbol: {
        const auto found = at.find(e.name);
        return found == at.end() ? kUnknown : spend(exact(found->second));
      }
      case Kind::Sum:
      case Kind::Product:
      case Kind::Quotient:
      case Kind::Power:
      case Kind::Function:
      case Kind::Quantity:
      case Kind::Degree:
      case Kind::Percent:
        return operation(e);
      default:
        return kUnknown;
    }
  }

  Exact operation(const Expression& e) const {
    std::vector<Rational> args;
    for (const Expression& arg : e.args) {
      Exact value = of(arg);
      if (value.state != State::Value) return value;
      args.push_back(std::move(value.value));
    }
    return spend(combine(e, args));
  }

  Exact combine(const Expression& e, const std::vector<Rational>& args) const {
    if (e.kind == Kind::Sum || e.kind == Kind::Product) return folded(args, e.kind == Kind::Sum);
    if (e.kind == Kind::Quotient) return args[1] == 0 ? kUndefined : exact(args[0] / args[1]);
    if (e.kind == Kind::Power) return power(args[0], args[1]);
    if (e.kind == Kind::Function) return function(e.name, args);
    if (e.kind == Kind::Percent && percent == PercentReading::Hundredths) return exact(args[0] / 100);
    return exact(args[0]);
  }

  Exact folded(const std::vector<Rational>& args, bool sum) const {
    Rational out = args.front();
    for (size_t i = 1; i < args.size(); ++i) {
      if (spend(exact(out)).state != State::Value) return kUnknown;
      if (sum) {
        out += args[i];
      } else {
        out *= args[i];
      }
    }
    return exact(std::move(out));
  }

  // What the step that gave `value` costs: it is not had where the budget is gone.
  Exact spend(Exact value) const {
    const size_t size = value.state == State::Value ? bits(value.value) : 0;
    budget.work -= 1 + static_cast<int64_t>(size / 64);
    if (size > kMaxBits || budget.work < 0) return kUnknown;
    return value;
  }
};

}  // namespace

Exact evaluate_exactly(const Expression& e, const Point& at, PercentReading percent, Budget& budget) {
  return Evaluation{at, percent, budget}.of(e);
}

void collect_variables(const Expression& e, std::set<std::string>& names) {
  if (e.kind == Kind::Symbol) names.insert(e.name);
  for (const Expression& arg : e.args) collect_variables(arg, names);
}

bool contains(const Expression& e, const std::function<bool(const Expression&)>& matches) {
  return matches(e) ||
         std::any_of(e.args.begin(), e.args.end(), [&](const Expression& arg) { return contains(arg, matches); });
}

}  // namespace gyro::grading
