// Whether the singular values of a type scale more evenly than a structureless change of the same size has them.

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "gyro/diff/findings/parts.h"

namespace gyro::findings {
namespace {

constexpr double kUniformSpread = 0.05;  // α std over α mean, from which on scaling is not uniform
constexpr double kEffect = 0.05;         // what a spread over its null's must be off 1

struct Spread {
  MatrixType type;
  double own, null, error;  // over α mean: the spread, what chance gives, and the bound of α
  double z;           // both are deviations of about k_eff values, right to a relative 1/√(2 k_eff) each (one draw)
  bool zero = false;  // every singular value of the post is
  bool same = false;  // every weight is the base's
};

Spread spread_of(const Rows& rows, const TypeRow& type) {
  double error = 0;
  for (const MatrixRow& row : rows) error = row.type == type.type ? std::fmax(error, row.alpha_error) : error;
  Spread s{type.type,
           type.alpha_std / type.alpha_mean,
           type.null.alpha_std / type.null.alpha_mean,
           error / type.alpha_mean,
           kUndefined,
           type.alpha_mean == 0,
           type.unchanged == 1};
  s.z = (s.own / s.null - 1) * std::sqrt(type.k_eff);
  return s;
}

Verdict judged(const Spread& s) {
  if (std::isnan(s.own) || s.own <= s.error) return Verdict::Undefined;
  if (s.own >= kUniformSpread) return Verdict::No;
  if (std::isnan(s.z)) return Verdict::Unclear;
  if (std::abs(s.z) <= kSignificance) return Verdict::AsChance;
  if (std::abs(s.own / s.null - 1) <= kEffect) return Verdict::Slight;
  return s.z < 0 ? Verdict::Yes : Verdict::Counter;
}

using Spreads = std::vector<Spread>;
using Groups = std::map<Verdict, Spreads>;

Names names_of(const Spreads& spreads) {
  Names names;
  for (const Spread& s : spreads) names.push_back(s.type);
  return names;
}

// "W_Q (0.38 %; chance 0.46 %) and W_K (...)".
std::string with_numbers(const Spreads& spreads) {
  std::string out;
  for (size_t i = 0; i < spreads.size(); ++i) {
    const Spread& s = spreads[i];
    if (i > 0) out += i + 1 == spreads.size() ? " and " : ", ";
    out += fmt::format("{} ({}", type_name(s.type), percent(s.own));
    out += std::isnan(s.null) ? ")" : fmt::format("; chance {})", percent(s.null));
  }
  return out;
}

// Of all that spread by less than what is not uniform.
std::string range(const Spreads& spreads, double Spread::*member) {
  const auto less = [&](const Spread& a, const Spread& b) { return a.*member < b.*member; };
  const auto [low, high] = std::minmax_element(spreads.begin(), spreads.end(), less);
  return percent_range(*low.*member, *high.*member);
}

std::string headline(Verdict verdict, const Spreads& of) {
  switch (verdict) {
    case Verdict::Yes:
      return fmt::format("Singular values scale more evenly than chance in every type; α spreads over its mean by: {}.",
                         with_numbers(of));
    case Verdict::SomeTypes:
      return fmt::format("Singular values scale more evenly than chance in some types; α spreads over its mean by: {}.",
                         with_numbers(of));
    case Verdict::No:
      return fmt::format("Singular values do not scale uniformly: α spreads over its mean by {} or more in {}.",
                         percent(kUniformSpread, 1), with_numbers(of));
    case Verdict::Counter:
      return fmt::format(
          "Singular values scale near-uniformly, but less evenly than chance; α spreads over its mean by: {}.",
          with_numbers(of));
    case Verdict::Slight:
      return fmt::format(
          "Singular values scale near-uniformly; the spread of α over its mean is beyond chance, but by "
          "less than the {} that we call an effect: {}.",
          percent(kEffect, 1), with_numbers(of));
    case Verdict::AsChance:
      return fmt::format(
          "Singular values scale near-uniformly, as chance has them: α spreads by {} of its mean, a "
          "structureless change of the same size by {}.",
          range(of, &Spread::own), range(of, &Spread::null));
    case Verdict::Unclear:
      return fmt::format(
          "Singular values scale near-uniformly: α spreads by {} of its mean. Without draws of the null "
          "it is open what chance gives.",
          range(of, &Spread::own));
    default:
      return "";
  }
}

std::string why_undefined(const Spread& s) {
  if (s.same) return "nothing has changed there";
  if (s.zero) return "every singular value of the post is 0";
  return std::isnan(s.own) ? "α is not defined there: the base lacks leading directions"
                           : "α spreads by less than its error bound";
}

// Of single types, or of all where nothing else is told.
std::string undefined_words(const Spreads& spreads, bool of_all) {
  std::map<std::string, Names> by_reason;
  for (const Spread& s : spreads) by_reason[why_undefined(s)].push_back(s.type);
  std::string reasons;
  for (const auto& [why, types] : by_reason) {
    reasons += reasons.empty() ? "" : "; ";
    reasons += of_all && by_reason.size() == 1 ? why : fmt::format("in {}: {}", listed(types), why);
  }
  return of_all ? fmt::format("Whether singular values scale uniformly is undefined, because {}.", reasons)
                : fmt::format(" Undefined {}.", reasons);
}

// What is said of the types of which the headline does not speak.
std::string others(const Groups& groups, Verdict told) {
  const auto say = [&](Verdict group, const std::string& words) -> std::string {
    const auto found = groups.find(group);
    if (found == groups.end() || group == told || (group == Verdict::Yes && told == Verdict::SomeTypes)) return "";
    return fmt::format(" {} {}.", words, with_numbers(found->second));
  };
  std::string out = say(Verdict::Counter, "Less evenly than chance in");
  out += say(Verdict::No, fmt::format("By {} or more in", percent(kUniformSpread, 1)));
  out += say(Verdict::Slight, fmt::format("Beyond chance by less than {} in", percent(kEffect, 1)));
  out += say(Verdict::AsChance, "As chance in");
  out += say(Verdict::Unclear, "Open, for want of a null, in");
  const auto unknown = groups.find(Verdict::Undefined);
  return unknown == groups.end() ? out : out + undefined_words(unknown->second, told == Verdict::Undefined);
}

Verdict overall(const Groups& groups) {
  const size_t defined = groups.size() - groups.count(Verdict::Undefined);
  if (groups.contains(Verdict::Yes)) return defined == 1 ? Verdict::Yes : Verdict::SomeTypes;
  for (const Verdict verdict : {Verdict::No, Verdict::Counter, Verdict::Slight, Verdict::AsChance, Verdict::Unclear}) {
    if (groups.contains(verdict)) return verdict;
  }
  return Verdict::Undefined;
}

}  // namespace

double uniform_scaling_margin(const TypeRow& type) {
  return std::isnan(type.k_eff) ? kUndefined : std::max(kEffect, kSignificance / std::sqrt(type.k_eff));
}

Verdict judge_uniform_scaling(const Rows& rows, const TypeRow& type) {
  return judged(spread_of(rows, type));
}

Finding uniform_scaling(const Rows& rows, const Types& types) {
  Groups groups;
  for (const TypeRow& type : types) {
    const Spread spread = spread_of(rows, type);
    groups[judged(spread)].push_back(spread);
  }
  const Verdict verdict = overall(groups);
  const Spreads& told = groups.at(verdict == Verdict::SomeTypes ? Verdict::Yes : verdict);
  const Spread& widest =
      *std::max_element(told.begin(), told.end(), [](const Spread& a, const Spread& b) { return a.own < b.own; });
  std::string text = headline(verdict, told) + others(groups, verdict);
  if (verdict == Verdict::Undefined)
    return undefined(FindingId::UniformScaling, kUndefined, kUniformSpread, names_of(told), std::move(text));
  return make(FindingId::UniformScaling, verdict, widest.own, widest.null, kUniformSpread, widest.z, names_of(told),
              std::move(text));
}

}  // namespace gyro::findings
