#include "gyro/eval/grade/parse.h"

#include <algorithm>

#include "gyro/base/error.h"
#include "gyro/eval/grade/vocabulary.h"

namespace gyro::grading {
namespace {

constexpr size_t kMaxDigits = 2000;
constexpr long kMaxExponent = 4000;  // decimal, of 1e3
constexpr int kMaxChain = 16;        // operations in a row that each make the tree a level deeper

[[noreturn]] void not_understood() {
  fail("answer", "is not understood");
}

// Recursive descent, a method a level of precedence. Throws Error where the tokens are no answer.
class Parser {
 public:
  explicit Parser(const std::vector<Token>& tokens) : tokens_(tokens) {}

  Expression whole() {
    Expression answer = list();
    if (at_ != tokens_.size()) not_understood();
    return answer;
  }

 private:
  // How deep the recursion is, and the tree: a nested method may add a few nodes, no more.
  struct Level {
    explicit Level(int& count) : depth(count) {
      if (++depth > kMaxDepth) fail("answer", "is nested too deep");
    }
    ~Level() { --depth; }
    Level(const Level&) = delete;
    Level& operator=(const Level&) = delete;
    int& depth;
  };

  const Token& peek(size_t ahead = 0) const {
    static const Token end;
    return at_ + ahead < tokens_.size() ? tokens_[at_ + ahead] : end;
  }
  bool is(TokenKind kind, std::string_view text, size_t ahead = 0) const {
    return peek(ahead).kind == kind && peek(ahead).text == text && at_ + ahead < tokens_.size();
  }
  bool sees(std::string_view sign) const { return is(TokenKind::Sign, sign); }
  bool accept(TokenKind kind, std::string_view text) {
    const bool there = is(kind, text);
    if (there) ++at_;
    return there;
  }
  bool accept(std::string_view sign) { return accept(TokenKind::Sign, sign); }
  bool accept_command(std::string_view name) { return accept(TokenKind::Command, name); }
  void expect(std::string_view sign) {
    if (!accept(sign)) not_understood();
  }

  std::vector<Expression> members() {
    std::vector<Expression> out;
    do {
      while (accept(",")) continue;  // ", and"
      out.push_back(relation());
    } while (sees(","));
    return out;
  }

  Expression list() {
    std::vector<Expression> out = members();
    if (out.size() == 1) return std::move(out.front());
    return node(Kind::Sequence, ",", std::move(out));
  }

  std::optional<std::string> relation_sign() {
    for (const char* sign : {"<=", ">=", "<", ">", "=", "!=", "in", "mid", "equiv", "approx", "to"}) {
      if (accept(sign)) return sign;
    }
    return std::nullopt;
  }

  Expression relation() {
    const Level level(depth_);
    std::vector<Expression> sides;
    std::string signs;
    sides.push_back(ratio());
    while (const auto sign = relation_sign()) {
      accept("&");  // of aligned equations
      if (!signs.empty()) signs += ' ';
      signs += *sign;
      sides.push_back(ratio());
    }
    if (signs.empty()) return std::move(sides.front());
    return node(Kind::Relation, signs, std::move(sides));
  }

  Expression ratio() {
    std::vector<Expression> parts;
    do parts.push_back(set_operation());
    while (accept(":"));
    if (parts.size() == 1) return std::move(parts.front());
    return node(Kind::Sequence, ":", std::move(parts));
  }

  Expression set_operation() {
    Expression out = sum();
    int length = 0;
    for (;;) {
      const std::string name = peek().text;
      if (!accept_command("cup") && !accept_command("cap") && !accept_command("setminus")) return out;
      Expression right = sum();
      if (out.kind == Kind::SetOperation && out.name == name && name != "setminus") {
        out.args.push_back(std::move(right));
      } else {
        if (++length > kMaxChain) not_understood();  // each is a level of the tree
        std::vector<Expression> args;
        args.push_back(std::move(out));
        args.push_back(std::move(right));
        out = node(Kind::SetOperation, name, std::move(args));
      }
    }
  }

  static Expression negative(Expression term) {
    std::vector<Expression> factors;
    factors.push_back(number(-1));
    factors.push_back(std::move(term));
    return node(Kind::Product, {}, std::move(factors));
  }

  Expression sum() {
    const Level level(depth_);
    std::vector<Expression> terms;
    for (;;) {
      const bool first = terms.empty();
      if (accept("-")) {
        terms.push_back(negative(product()));
      } else if (is(TokenKind::Command, "pm") || is(TokenKind::Command, "mp")) {
        const std::string name = tokens_[at_++].text;
        std::vector<Expression> term;
        term.push_back(product());
        terms.push_back(node(Kind::Signed, name, std::move(term)));
      } else if (accept("+") || first) {
        terms.push_back(product());
      } else {
        break;
      }
    }
    if (terms.size() == 1) return std::move(terms.front());
    return node(Kind::Sum, {}, std::move(terms));
  }

  static Expression multiplied(std::vector<Expression> factors) {
    if (factors.size() == 1) return std::move(factors.front());
    return node(Kind::Product, {}, std::move(factors));
  }

  Expression product() {
    std::vector<Expression> factors;
    factors.push_back(unary());
    int quotients = 0;
    for (;;) {
      if (accept("*")) {
        factors.push_back(unary());
      } else if (accept("/")) {
        if (++quotients > kMaxChain) not_understood();
        std::vector<Expression> parts;
        parts.push_back(multiplied(std::move(factors)));
        parts.push_back(unary());
        factors.clear();
        factors.push_back(node(Kind::Quotient, {}, std::move(parts)));
      } else if (begins_factor()) {
        if (peek().kind == TokenKind::Number) not_understood();  // after a factor, as in "x2"
        factors.push_back(postfix());
      } else {
        return multiplied(std::move(factors));
      }
    }
  }

  Expression unary() {
    const Level level(depth_);
    if (accept("-")) return negative(unary());
    if (accept("+")) return unary();
    return postfix();
  }

  bool begins_factor() const {
    const Token& token = peek();
    if (at_ >= tokens_.size()) return false;
    if (token.kind == TokenKind::Sign) {
      return token.text == "(" || token.text == "[" || token.text == "{" || token.text == "\\{" ||
             (token.text == "|" && bars_ == 0);
    }
    if (token.kind != TokenKind::Command) return true;
    static constexpr std::string_view kOther[] = {"pi",     "infty",    "frac",   "sqrt",  "binom",
                                                  "lvert",  "langle",   "lfloor", "lceil", "emptyset",
                                                  "mathbb", "overline", "imath"};
    return std::find(std::begin(kOther), std::end(kOther), token.text) != std::end(kOther) || function_of(token.text) ||
           is_accent(token.text) || is_symbol_command(token.text) || token.text.starts_with("begin:");
  }

  Expression postfix() {
    const Level level(depth_);
    const bool literal = at_ < tokens_.size() && peek().kind == TokenKind::Number;
    Expression out = atom();
    if (literal && out.kind == Kind::Number) out = mixed(std::move(out));
    for (int length = 0; length < kMaxChain; ++length) {
      if (accept("^")) {
        out = raised(std::move(out));
      } else if (accept_command("degree")) {
        out = wrapped(Kind::Degree, {}, std::move(out));
      } else if (accept("%")) {
        out = wrapped(Kind::Percent, {}, std::move(out));
      } else if (sees("!") && !is(TokenKind::Sign, "!", 1)) {
        ++at_;
        out = wrapped(Kind::Function, "factorial", std::move(out));
      } else if (peek().kind == TokenKind::Text && out.kind != Kind::Text) {
        out = wrapped(Kind::Quantity, unit(), std::move(out));
      } else {
        return out;
      }
    }
    not_understood();
  }

  static Expression wrapped(Kind kind, std::string name, Expression inner) {
    std::vector<Expression> args;
    args.push_back(std::move(inner));
    return node(kind, std::move(name), std::move(args));
  }

  // "cm", "cm^2", "miles per hour", "m/s".
  std::string unit() {
    std::string name;
    for (;;) {
      const std::string word = plain_words(tokens_[at_++].text);
      name += unit_of(word).value_or(word);
      if (accept("^")) name.append("^").append(raw_group());
      if (!sees("/") || peek(1).kind != TokenKind::Text || at_ + 1 >= tokens_.size()) return name;
      ++at_;
      name += "/";
    }
  }

  Expression raised(Expression base) {
    if (accept_command("circ") || accept_command("degree")) return wrapped(Kind::Degree, {}, std::move(base));
    if (accept_command("prime")) return wrapped(Kind::Function, "prime", std::move(base));
    if (sees("{") && is(TokenKind::Command, "circ", 1) && is(TokenKind::Sign, "}", 2)) {
      at_ += 3;
      return wrapped(Kind::Degree, {}, std::move(base));
    }
    std::vector<Expression> args;
    args.push_back(std::move(base));
    args.push_back(exponent());
    return node(Kind::Power, {}, std::move(args));
  }

  Expression exponent() {
    const Level level(depth_);
    if (accept("-")) return negative(exponent());
    return atom();
  }

  // The tokens between braces that open here, or the one token, as one name.
  std::string raw_group() {
    if (at_ >= tokens_.size()) not_understood();
    if (!accept("{")) return tokens_[at_++].text;
    std::string out;
    for (int depth = 1; at_ < tokens_.size(); ++at_) {
      if (sees("{")) ++depth;
      if (sees("}") && --depth == 0) {
        ++at_;
        return out;
      }
      out += tokens_[at_].text;
    }
    not_understood();
  }

  Expression atom() {
    const Level level(depth_);
    if (at_ >= tokens_.size()) not_understood();
    switch (peek().kind) {
      case TokenKind::Number:
        return number_atom();
      case TokenKind::Letter:
        return letter();
      case TokenKind::Text:
        return node(Kind::Text, tokens_[at_++].text, {});
      case TokenKind::Command:
        return command();
      case TokenKind::Sign:
        break;
    }
    if (accept("{")) return group("}");
    if (accept("|")) return bars();
    if (sees("(") || sees("[") || sees("\\{")) return bracketed();
    not_understood();
  }

  // A group that is not seen, up to `end`.
  Expression group(std::string_view end) {
    const int outer = std::exchange(bars_, 0);
    Expression out = list();
    expect(end);
    bars_ = outer;
    return out;
  }

  Expression bars() {
    ++bars_;
    Expression inner = sum();
    expect("|");
    --bars_;
    return wrapped(Kind::Function, "abs", std::move(inner));
  }

  Expression bracketed() {
    const std::string open = tokens_[at_++].text;
    const int outer = std::exchange(bars_, 0);
    std::vector<Expression> inner;
    if (open != "\\{" || !sees("\\}")) inner = members();
    bars_ = outer;
    if (open == "\\{") {
      expect("\\}");
      return node(Kind::Sequence, "{}", std::move(inner));
    }
    const std::string close = peek().text;
    if (!accept(")") && !accept("]")) not_understood();
    if (inner.size() > 1) return node(Kind::Sequence, open + close, std::move(inner));
    if ((open == "(") != (close == ")")) not_understood();
    return std::move(inner.front());
  }

  Expression number_atom() {
    const std::string digits = tokens_[at_++].text;
    if (accept("_")) return node(Kind::Symbol, digits + "_" + raw_group(), {});  // in another base
    if (digits.find('.') != std::string::npos && accept_command("overline")) return repeating(digits, raw_group());
    auto value = exact_decimal(digits);
    if (!value) not_understood();
    return number(std::move(*value));
  }

  // 0.8\overline{3} = (83 - 8)/90
  static Expression repeating(const std::string& fixed, const std::string& period) {
    const auto start = exact_decimal(fixed.ends_with('.') ? fixed + "0" : fixed);
    const bool plain = !period.empty() && period.find_first_not_of("0123456789") == std::string::npos;
    const auto cycle = plain ? exact_decimal(period) : std::nullopt;
    if (!start || !cycle) not_understood();
    mpz_class shift, length;
    mpz_ui_pow_ui(shift.get_mpz_t(), 10, fixed.size() - fixed.find('.') - 1);
    mpz_ui_pow_ui(length.get_mpz_t(), 10, period.size());
    return number(*start + *cycle / (Rational(shift) * (Rational(length) - 1)));
  }

  // Where the plain number that begins at `from`, with or without braces, ends; 0 for what is no plain number.
  size_t plain_number(size_t from) const {
    const auto is_number = [&](size_t i) { return i < tokens_.size() && tokens_[i].kind == TokenKind::Number; };
    const auto is_sign = [&](size_t i, const char* sign) {
      return i < tokens_.size() && tokens_[i].kind == TokenKind::Sign && tokens_[i].text == sign;
    };
    if (is_number(from)) return from + 1;
    return is_sign(from, "{") && is_number(from + 1) && is_sign(from + 2, "}") ? from + 3 : 0;
  }

  // Whether a fraction of plain numbers stands here: 3\frac{1}{2}, 3\frac12, "3 1/2".
  bool sees_plain_fraction() const {
    if (is(TokenKind::Command, "frac")) {
      if (peek(1).kind == TokenKind::Number && peek(1).text.size() == 2 && at_ + 1 < tokens_.size()) return true;
      const size_t above = plain_number(at_ + 1);
      return above != 0 && plain_number(above) != 0;
    }
    return peek().kind == TokenKind::Number && peek().spaced && is(TokenKind::Sign, "/", 1) &&
           peek(2).kind == TokenKind::Number && at_ + 2 < tokens_.size();
  }

  Expression mixed(Expression whole) {
    if (whole.value.get_den() != 1 || !sees_plain_fraction()) return whole;
    std::vector<Expression> terms;
    terms.push_back(std::move(whole));
    if (accept_command("frac")) {
      terms.push_back(fraction());
    } else {
      const auto above = exact_decimal(peek().text), below = exact_decimal(peek(2).text);
      if (!above || !below) not_understood();
      at_ += 3;
      terms.push_back(node(Kind::Quotient, {}, {number(*above), number(*below)}));
    }
    return node(Kind::Sum, {}, std::move(terms));
  }

  Expression letter() {
    const std::string name = tokens_[at_++].text;
    if ((name == "e" || name == "i") && !sees("_")) return node(Kind::Constant, name, {});
    return symbol(name);
  }

  Expression symbol(std::string name) {
    if (accept("_")) name.append("_").append(raw_group());
    while (accept_command("prime")) name += "'";
    return node(Kind::Symbol, std::move(name), {});
  }

  Expression command() {
    const std::string name = tokens_[at_++].text;
    if (name == "pi") return node(Kind::Constant, "pi", {});
    if (name == "infty") return node(Kind::Constant, "infinity", {});
    if (name == "imath") return node(Kind::Constant, "i", {});
    if (name == "frac") return fraction();
    if (name == "sqrt") return root();
    if (name == "binom") return binomial();
    if (name == "emptyset") return node(Kind::Sequence, "{}", {});
    if (name == "mathbb") return number_set(raw_group());
    if (is_accent(name)) return symbol(std::string(name).append(" ").append(raw_group()));
    if (name == "lvert") return enclosed("abs", "rvert");
    if (name == "lfloor") return enclosed("floor", "rfloor");
    if (name == "lceil") return enclosed("ceil", "rceil");
    if (name == "langle") return angled();
    if (const auto function = function_of(name)) return applied(std::string(*function));
    if (is_symbol_command(name)) return symbol(name);
    if (name.starts_with("begin:")) return matrix(name.substr(6));
    not_understood();
  }

  static Expression number_set(const std::string& letter) {
    if (letter != "R") return node(Kind::Symbol, "mathbb " + letter, {});
    const Expression infinity = node(Kind::Constant, "infinity", {});
    return node(Kind::Sequence, "()", {negative(infinity), infinity});
  }

  Expression enclosed(const char* function, std::string_view end) {
    const int outer = std::exchange(bars_, 0);
    Expression inner = sum();
    if (!accept_command(end)) not_understood();
    bars_ = outer;
    return wrapped(Kind::Function, function, std::move(inner));
  }

  Expression angled() {
    std::vector<Expression> inner = members();
    if (!accept_command("rangle")) not_understood();
    return node(Kind::Sequence, "<>", std::move(inner));
  }

  // An argument of \frac: a group, or one character.
  Expression short_argument() {
    if (peek().kind != TokenKind::Number || at_ >= tokens_.size()) return atom();
    const std::string& digits = tokens_[at_].text;
    if (short_used_ + 1 < digits.size() && digits.find_first_not_of("0123456789") == std::string::npos) {
      return number(digits[short_used_++] - '0');
    }
    const std::string rest = digits.substr(short_used_);
    short_used_ = 0;
    ++at_;
    const auto value = exact_decimal(rest);
    if (!value) not_understood();
    return number(*value);
  }

  Expression fraction() {
    std::vector<Expression> parts;
    parts.push_back(short_argument());
    parts.push_back(short_argument());
    if (short_used_ != 0) not_understood();  // \frac123
    return node(Kind::Quotient, {}, std::move(parts));
  }

  Expression root() {
    std::vector<Expression> degree;
    if (accept("[")) degree.push_back(group("]"));
    std::vector<Expression> args;
    args.push_back(atom());
    if (degree.empty()) return node(Kind::Function, "sqrt", std::move(args));
    args.push_back(std::move(degree.front()));
    return node(Kind::Function, "root", std::move(args));
  }

  Expression binomial() {
    std::vector<Expression> args;
    args.push_back(short_argument());
    args.push_back(short_argument());
    if (short_used_ != 0) not_understood();
    return node(Kind::Function, "binomial", std::move(args));
  }

  // \sin x, \sin(x), \sin^2 x, \sin^{-1} x, \log_2 x
  Expression applied(std::string name) {
    const Level level(depth_);
    std::optional<Expression> base, power;
    if (name == "log" && accept("_")) base = atom();
    if (accept("^")) power = exponent();
    if (name == "log" && !base && accept("_")) base = atom();
    if (power && is_minus_one(*power) && (name == "sin" || name == "cos" || name == "tan")) {
      name = "arc" + name;
      power.reset();
    }
    std::vector<Expression> args;
    args.push_back(argument());
    if (name == "log") args.push_back(base ? std::move(*base) : number(10));
    Expression out = node(Kind::Function, name, std::move(args));
    if (!power) return out;
    std::vector<Expression> powered;
    powered.push_back(std::move(out));
    powered.push_back(std::move(*power));
    return node(Kind::Power, {}, std::move(powered));
  }

  static bool is_minus_one(const Expression& e) {
    return e.kind == Kind::Product && e.args.size() == 2 && e.args[0].kind == Kind::Number && e.args[0].value == -1 &&
           e.args[1].kind == Kind::Number && e.args[1].value == 1;
  }

  // What stands in parentheses, or the factors up to a sign or another function.
  Expression argument() {
    if (sees("(")) return atom();
    if (accept("-")) return negative(argument_factors());
    return argument_factors();
  }

  Expression argument_factors() {
    std::vector<Expression> factors;
    factors.push_back(postfix());
    while (begins_factor() && peek().kind != TokenKind::Number && !function_of(peek().text) && !sees("(")) {
      factors.push_back(postfix());
    }
    if (factors.size() == 1 && accept("/")) {  // \sin \pi/6
      std::vector<Expression> parts;
      parts.push_back(std::move(factors.front()));
      parts.push_back(postfix());
      return node(Kind::Quotient, {}, std::move(parts));
    }
    return multiplied(std::move(factors));
  }

  Expression matrix(const std::string& environment) {
    static constexpr std::string_view kKnown[] = {"pmatrix", "bmatrix", "Bmatrix", "matrix", "array", "smallmatrix"};
    if (std::find(std::begin(kKnown), std::end(kKnown), environment) == std::end(kKnown)) not_understood();
    if (environment == "array") raw_group();
    const int outer = std::exchange(bars_, 0);
    std::vector<Expression> entries;
    size_t rows = 1, columns = 0;
    for (size_t in_row = 1;; ++in_row) {
      entries.push_back(relation());
      if (accept("&")) continue;
      if (columns != 0 && in_row != columns) not_understood();
      columns = in_row;
      in_row = 0;
      const bool ends = !accept_command("newline");
      if (accept_command("end:" + environment)) break;
      if (ends) not_understood();
      ++rows;
    }
    bars_ = outer;
    return node(Kind::Matrix, std::to_string(rows) + "x" + std::to_string(columns), std::move(entries));
  }

  const std::vector<Token>& tokens_;
  size_t at_ = 0;
  size_t short_used_ = 0;  // digits of the present Number that \frac has taken
  int depth_ = 0, bars_ = 0;
};

}  // namespace

std::optional<Rational> exact_decimal(std::string_view digits) {
  const size_t e = digits.find_first_of("eE");
  std::string mantissa(digits.substr(0, e));
  long exponent = 0;
  if (e != digits.npos) {
    const std::string written(digits.substr(e + 1));
    if (written.size() > 5) return std::nullopt;
    exponent = std::stol(written);
  }
  if (const size_t point = mantissa.find('.'); point != mantissa.npos) {
    exponent -= static_cast<long>(mantissa.size() - point - 1);
    mantissa.erase(point, 1);
  }
  const bool plain = !mantissa.empty() && mantissa.find_first_not_of("0123456789") == std::string::npos;
  if (!plain || mantissa.size() > kMaxDigits || std::abs(exponent) > kMaxExponent) return std::nullopt;
  mpz_class scale;
  mpz_ui_pow_ui(scale.get_mpz_t(), 10, static_cast<unsigned long>(std::abs(exponent)));
  Rational value{mpz_class(mantissa, 10)};
  return exponent < 0 ? Rational(value / Rational(scale)) : Rational(value * Rational(scale));
}

std::optional<Expression> parse(const std::vector<Token>& tokens) {
  try {
    return Parser(tokens).whole();
  } catch (const Error&) {
    return std::nullopt;
  }
}

}  // namespace gyro::grading
