#include <algorithm>

#include "gyro/eval/grade/grade.h"
#include "gyro/eval/grade/normal.h"
#include "gyro/eval/grade/parse.h"
#include "gyro/eval/grade/scalar_equal.h"

namespace gyro::grading {
namespace {

using Rule = std::optional<std::string_view>;

constexpr size_t kMaxMembers = 100;

bool is_list(const Expression& e) {
  return e.kind == Kind::Sequence && (e.name == "," || e.name == "{}");
}
bool is_bracketed(const Expression& e) {
  return e.kind == Kind::Sequence && !is_list(e);
}
bool is_signed(const Expression& e) {
  return e.kind == Kind::Signed;
}

// The tree with the upper sign of each \pm and \mp, or the lower one.
Expression with_sign(const Expression& e, bool upper) {
  Expression out = node(e.kind, e.name, {});
  out.value = e.value;
  for (const Expression& arg : e.args) out.args.push_back(with_sign(arg, upper));
  if (!is_signed(e)) return out;
  const int sign = (e.name == "pm") == upper ? 1 : -1;
  std::vector<Expression> factors;
  factors.push_back(number(sign));
  factors.push_back(std::move(out.args.front()));
  return node(Kind::Product, {}, std::move(factors));
}

// The members of a list or set, those of sets within it, and both of \pm; of anything else, itself.
void collect_members(const Expression& e, std::vector<Expression>& out) {
  if (is_list(e)) {
    for (const Expression& member : e.args) collect_members(member, out);
  } else if (contains(e, is_signed)) {
    out.push_back(with_sign(e, true));
    out.push_back(with_sign(e, false));
  } else {
    out.push_back(e);
  }
}

// What may be left of "=" before a value: a variable, f(2), or another formula of variables alone, such as AB/CD.
bool is_name(const Expression& e) {
  if (e.kind == Kind::Product && e.args.size() == 2 && e.args.front().kind == Kind::Symbol) return true;
  const auto names = [](const Expression& part) { return part.kind == Kind::Symbol || part.kind == Kind::Text; };
  return contains(e, names) && !contains(e, [](const Expression& part) { return part.kind == Kind::Number; });
}

bool mentions(const Expression& e, const Expression& name) {
  return name.kind == Kind::Symbol &&
         contains(e, [&](const Expression& part) { return part.kind == Kind::Symbol && part.name == name.name; });
}

int64_t nodes(const Expression& e) {
  int64_t count = 1;
  for (const Expression& arg : e.args) count += nodes(arg);
  return count;
}

class Comparison {
 public:
  Rule equal(const Expression& a, const Expression& b) {
    budget_.work -= nodes(a) + nodes(b);
    if (budget_.work < 0 || differ_in_units(a, b)) return std::nullopt;
    if ((a.kind == Kind::Relation) != (b.kind == Kind::Relation)) return with_one_relation(a, b);
    if (is_list(a) || is_list(b) || contains(a, is_signed) || contains(b, is_signed)) return as_sets(a, b);
    if (a.kind == Kind::Text || b.kind == Kind::Text) return as_text(a, b);
    if (a.kind == Kind::Relation) return as_relations(a, b);
    if (is_bracketed(a) && is_bracketed(b)) return as_brackets(a, b);
    if (a.kind == Kind::SetOperation && b.kind == Kind::SetOperation) return as_operations(a, b);
    if (a.kind == Kind::Matrix && b.kind == Kind::Matrix) {
      return a.name == b.name && pairwise(a.args, b.args) ? Rule("matrix-equal") : std::nullopt;
    }
    if (const Rule rule = scalar_equal(a, b, budget_)) return rule;
    return same_form(a, b) ? Rule("form-equal") : std::nullopt;
  }

 private:
  // 5 cm is not 5 m; words that are no units known here count where they are said of a variable ("n is odd").
  static bool differ_in_units(const Expression& a, const Expression& b) {
    if (a.kind != Kind::Quantity && b.kind != Kind::Quantity) return false;
    const std::string of_a = a.kind == Kind::Quantity ? a.name : "", of_b = b.kind == Kind::Quantity ? b.name : "";
    if (of_a == of_b) return false;
    const bool variable = contains(a, [](const Expression& part) { return part.kind == Kind::Symbol; });
    const bool known_a = of_a.empty() || known(of_a), known_b = of_b.empty() || known(of_b);
    if (of_a.empty() || of_b.empty()) return variable && !(known_a && known_b);
    return (known_a && known_b) || variable;
  }

  static bool known(std::string_view unit) { return unit_of(unit.substr(0, unit.find_first_of("^/"))).has_value(); }

  // Each member of one is a member of the other: they are matched one to one.
  bool matched(const std::vector<Expression>& a, const std::vector<Expression>& b) {
    if (a.size() != b.size() || a.size() > kMaxMembers) return false;
    std::vector<bool> taken(b.size());
    for (const Expression& member : a) {
      size_t i = 0;
      while (i < b.size() && (taken[i] || !equal(member, b[i]))) ++i;
      if (i == b.size()) return false;
      taken[i] = true;
    }
    return true;
  }

  bool pairwise(const std::vector<Expression>& a, const std::vector<Expression>& b) {
    return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(),
                                              [&](const auto& x, const auto& y) { return equal(x, y).has_value(); });
  }

  // A list and a tuple of the same three things or more. Of two, (1, 3) may be an interval.
  static bool is_triple(const Expression& list, const Expression& tuple) {
    return is_list(list) && list.name == "," && tuple.kind == Kind::Sequence && tuple.name == "()" &&
           list.args.size() >= 3;
  }

  Rule as_sets(const Expression& a, const Expression& b) {
    if (is_triple(a, b) || is_triple(b, a)) return pairwise(a.args, b.args) ? Rule("list-tuple-equal") : std::nullopt;
    std::vector<Expression> of_a, of_b;
    collect_members(a, of_a);
    collect_members(b, of_b);
    return matched(of_a, of_b) ? Rule("set-equal") : std::nullopt;
  }

  static Rule as_text(const Expression& a, const Expression& b) {
    const auto words = [](const Expression& e) -> std::optional<std::string> {
      if (e.kind == Kind::Text) return bare_words(e.name);
      if (e.kind == Kind::Symbol && e.name.size() == 1) return bare_words(e.name);
      return std::nullopt;
    };
    const auto of_a = words(a), of_b = words(b);
    return of_a && of_a == of_b ? Rule("text-equal") : std::nullopt;
  }

  Rule as_brackets(const Expression& a, const Expression& b) {
    if (a.name != b.name || !pairwise(a.args, b.args)) return std::nullopt;
    return a.args.size() == 2 && a.name != "<>" && a.name != "()" ? Rule("interval-equal") : Rule("tuple-equal");
  }

  Rule as_operations(const Expression& a, const Expression& b) {
    if (a.name != b.name) return std::nullopt;
    const bool same = a.name == "setminus" ? pairwise(a.args, b.args) : matched(a.args, b.args);
    return same ? Rule("union-equal") : std::nullopt;
  }

  // "x = 5" and 5, "x \in S" and S, "1 < x \le 2" and (1, 2].
  Rule with_one_relation(const Expression& a, const Expression& b) {
    const Expression& relation = a.kind == Kind::Relation ? a : b;
    const Expression& other = a.kind == Kind::Relation ? b : a;
    if (is_list(other) && contains(other, [](const Expression& e) { return e.kind == Kind::Relation; }))
      return as_sets(a, b);
    if (relation.name.find("approx") != std::string::npos) return as_approximation(relation, other);
    if (relation.args.size() == 2 && (relation.name == "=" || relation.name == "in") && is_name(relation.args[0])) {
      const Rule rule = equal(relation.args[1], other);
      return rule ? Rule(relation.name == "=" ? "equation-value-equal" : "membership-equal") : std::nullopt;
    }
    if (relation.name.find_first_not_of("= ") == std::string::npos) return as_calculation(relation, other);
    if (!is_bracketed(other)) return std::nullopt;
    const auto interval = interval_of(relation);
    return interval && as_brackets(*interval, other) ? Rule("inequality-interval-equal") : std::nullopt;
  }

  // "x = 1/3 \approx 0.33" says that it is 1/3, "\sqrt{17} \approx 4.12" that it is \sqrt{17}; "x \approx 4" says 4.
  Rule as_approximation(const Expression& relation, const Expression& other) {
    const std::vector<std::string> signs = signs_of(relation);
    const auto first = static_cast<size_t>(std::find(signs.begin(), signs.end(), "approx") - signs.begin());
    if (first > 0) {
      Expression exact = relation;
      exact.args.resize(first + 1);
      exact.name = signs[0];
      for (size_t i = 1; i < first; ++i) exact.name.append(" ").append(signs[i]);
      return with_one_relation(exact, other);
    }
    const bool named = relation.args.size() == 2 && is_name(relation.args[0]);
    return equal(relation.args[named ? 1 : 0], other) ? Rule("equation-value-equal") : std::nullopt;
  }

  // "2 + 3 = 5": the last side, if it is what the others are, or what a name stands for.
  Rule as_calculation(const Expression& relation, const Expression& other) {
    const std::vector<Expression>& sides = relation.args;
    for (size_t i = 0; i + 1 < sides.size(); ++i) {
      if (!(i == 0 && is_name(sides[0])) && !equal(sides[i], sides.back())) return std::nullopt;
    }
    return equal(sides.back(), other) ? Rule("equation-value-equal") : std::nullopt;
  }

  static std::vector<std::string> signs_of(const Expression& relation) {
    std::vector<std::string> signs;
    for (size_t from = 0; from < relation.name.size();) {
      const size_t end = std::min(relation.name.find(' ', from), relation.name.size());
      signs.push_back(relation.name.substr(from, end - from));
      from = end + 1;
    }
    return signs;
  }

  // The relation with no ">" first: sides and signs turned round.
  static Expression ascending(const Expression& relation) {
    std::vector<std::string> signs = signs_of(relation);
    if (!signs.front().starts_with(">")) return relation;
    Expression out = relation;
    std::reverse(out.args.begin(), out.args.end());
    std::reverse(signs.begin(), signs.end());
    out.name.clear();
    for (std::string& sign : signs) {
      if (sign[0] == '>') {
        sign[0] = '<';
      } else if (sign[0] == '<') {
        sign[0] = '>';
      }
      out.name += (out.name.empty() ? "" : " ") + sign;
    }
    return out;
  }

  static std::optional<Expression> interval_of(const Expression& written) {
    const Expression relation = ascending(written);
    const std::vector<std::string> signs = signs_of(relation);
    const auto less = [](const std::string& sign) { return sign == "<" || sign == "<="; };
    if (!std::all_of(signs.begin(), signs.end(), less) || signs.size() > 2) return std::nullopt;
    const Expression infinity = node(Kind::Constant, "infinity", {});
    const std::vector<Expression>& sides = relation.args;
    const bool open_left = signs.front() == "<", open_right = signs.back() == "<";
    const auto made = [](bool from_open, const Expression& from, const Expression& to, bool to_open) {
      return node(Kind::Sequence, std::string(from_open ? "(" : "[") + (to_open ? ")" : "]"), {from, to});
    };
    const auto free = [&](const Expression& bound, const Expression& name) { return !mentions(bound, name); };
    if (sides.size() == 3 && is_name(sides[1]) && free(sides[0], sides[1]) && free(sides[2], sides[1]))
      return made(open_left, sides[0], sides[2], open_right);
    if (sides.size() != 2) return std::nullopt;
    if (sides[0].kind == Kind::Symbol && free(sides[1], sides[0]))
      return made(true, node(Kind::Product, {}, {number(-1), infinity}), sides[1], open_right);
    if (sides[1].kind == Kind::Symbol && free(sides[0], sides[1])) return made(open_left, sides[0], infinity, true);
    return std::nullopt;
  }

  // "x = 2 + 3 = 5" is "x = 5" if that is true; what follows an approximation is left out.
  Expression shortened(const Expression& written) {
    Expression out = written;
    const std::vector<std::string> signs = signs_of(written);
    const auto equals = static_cast<size_t>(
        std::find_if(signs.begin(), signs.end(), [](const std::string& sign) { return sign != "="; }) - signs.begin());
    if (equals == 0 || (equals != signs.size() && signs[equals] != "approx")) return out;
    for (size_t i = 1; i < equals; ++i) {
      if (!equal(written.args[i], written.args[equals])) return out;
    }
    return node(Kind::Relation, "=", {written.args[0], written.args[equals]});
  }

  Rule as_relations(const Expression& written_a, const Expression& written_b) {
    const Expression a = ascending(shortened(written_a)), b = ascending(shortened(written_b));
    if (a.name != b.name) return as_membership(a, b);
    if (pairwise(a.args, b.args)) return "relation-equal";
    const bool symmetric = a.name == "=" || a.name == "!=";
    if (symmetric && equal(a.args[0], b.args[1]) && equal(a.args[1], b.args[0])) return "relation-equal";
    const bool inequality = a.name == "<" || a.name == "<=";
    if (!symmetric && !inequality) return std::nullopt;
    const Expression from_a = difference(a), from_b = difference(b);
    std::set<std::string> variables;
    collect_variables(from_a, variables);
    // Of one variable the answer is its value: 2x = 10 has not found it.
    if (variables.size() < 2 || !proportional(from_a, from_b, inequality, budget_)) return std::nullopt;
    return "relation-equal";
  }

  // "x \in [1, 2]" and "1 \le x \le 2"
  Rule as_membership(const Expression& a, const Expression& b) {
    const Expression& member = a.name == "in" ? a : b;
    const Expression& other = a.name == "in" ? b : a;
    const auto interval = member.name == "in" && is_name(member.args[0]) ? interval_of(other) : std::nullopt;
    if (!interval || !is_bracketed(member.args[1]) || !mentions(other, member.args[0])) return std::nullopt;
    return as_brackets(*interval, member.args[1]) ? Rule("inequality-interval-equal") : std::nullopt;
  }

  static Expression difference(const Expression& relation) {
    const Expression right = node(Kind::Product, {}, {number(-1), relation.args[1]});
    return node(Kind::Sum, {}, {relation.args[0], right});
  }

  // The same operation of equal things, where nothing can be evaluated.
  bool same_form(const Expression& a, const Expression& b) {
    if (a.kind != b.kind || a.name != b.name) return false;
    if (a.kind == Kind::Number) return a.value == b.value;
    return pairwise(a.args, b.args);
  }

  Budget budget_;
};

Rule equal_as_read(std::string_view a, std::string_view b, Commas commas) {
  const auto tokens_a = tokenize(a, commas), tokens_b = tokenize(b, commas);
  if (!tokens_a || !tokens_b) return std::nullopt;
  const auto tree_a = parse(*tokens_a), tree_b = parse(*tokens_b);
  if (!tree_a || !tree_b) return std::nullopt;
  return Comparison().equal(*tree_a, *tree_b);
}

}  // namespace

std::optional<std::string_view> math_equal(std::string_view a, std::string_view b) {
  if (same_text(a, b)) return "same-text";
  if (a.size() > kMaxAnswer || b.size() > kMaxAnswer) return std::nullopt;
  const auto words_a = words_of(a), words_b = words_of(b);
  if (words_a && words_b && (words_a->certain || words_b->certain))
    return words_a->words == words_b->words ? Rule("text-equal") : std::nullopt;
  if (const Rule rule = equal_as_read(a, b, Commas::Thousands)) return rule;
  const bool commas = a.find(',') != a.npos && b.find(',') != b.npos;
  return commas ? equal_as_read(a, b, Commas::Separate) : std::nullopt;
}

}  // namespace gyro::grading
