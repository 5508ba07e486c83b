// Whether what is off the diagonal of X = U_bᵀ E V_b is more symmetric than chance has it, as it is where both sides
// turn alike, and what else would make it so.

#include <fmt/format.h>

#include <cmath>
#include <map>

#include "gyro/diff/findings/parts.h"

namespace gyro::findings {
namespace {

constexpr double kEffect = 0.01;       // symmetric beyond chance, as a share of what is off the diagonal
constexpr double kRounding = 10;       // energy off the diagonal over what rounding gives
constexpr double kArithmetic = 1e-16;  // share of ‖E‖² off the diagonal that FP64 decompositions are not right to
constexpr double kExplained = 0.5;  // what row and column factors must leave of an effect for it to be more than they

struct Share {
  double effect = kUndefined, sd = kUndefined;  // ρ − ρ₀; its deviation under chance

  double beyond() const { return effect / sd; }  // −z
  bool defined() const { return !std::isnan(effect) && !std::isnan(sd); }
};

// One type, or all of them: shares of the energy that is off the diagonal.
struct Symmetry {
  double energy = 0;  // N
  double share = kUndefined, null = kUndefined;
  Share whole;
  Share rescaled;       // of what is left when row and column factors are fitted out
  double left = 0;      // ‖E‖² off the diagonal of what is left
  Share turn, stretch;  // by its pattern: both sides turn alike; one is stretched
  Share input;          // how much more of it is on the input side than on the output side
  double rounding_ratio = kUndefined;
  double off_diagonal = kUndefined;  // N as a share of ‖E‖²
};

Symmetry symmetry_of(const TypeRow& type) {
  const double total = type.energy.total;
  Symmetry s;
  s.off_diagonal = type.energy.co_rotation + type.energy.counter_rotation;
  s.energy = total * s.off_diagonal;
  s.share = type.symmetric_share;
  s.null = type.symmetric_null;
  s.whole = {type.symmetric_share - type.symmetric_null, type.symmetric_sd};
  const double left = type.rescaled.off_diagonal / s.off_diagonal;
  s.rescaled = {left * (type.rescaled.symmetric_share - type.rescaled.symmetric_null),
                left * type.rescaled.symmetric_sd};
  if (nothing_is_left(type.rescaled)) s.rescaled = {0, 0};
  s.turn = {type.side.turn, type.side.turn_sd};
  s.stretch = {type.side.stretch - type.symmetric_null, type.side.stretch_sd};
  s.input = {type.side.input - type.side.input_null, type.side.input_sd};
  s.rounding_ratio = type.rounding_ratio;
  return s;
}

Verdict judged(const Symmetry& s) {
  if (s.rounding_ratio < kRounding || s.off_diagonal < kArithmetic) return Verdict::Rounding;
  if (!(s.energy > 0) || std::isnan(s.whole.beyond())) return Verdict::Undefined;
  if (std::abs(s.whole.beyond()) <= kSignificance) return Verdict::AsChance;
  if (s.whole.effect < 0) return s.whole.effect <= -kEffect ? Verdict::Counter : Verdict::Slight;
  if (s.rescaled.effect < kExplained * s.whole.effect) return Verdict::No;
  return std::fmin(s.whole.effect, s.rescaled.effect) >= kEffect ? Verdict::Yes : Verdict::Slight;
}

// Sums over types: effects weigh as their energies, deviations add as squares.
struct SharePool {
  double effect = 0, variance = 0;
  bool any = false, all = true;

  void add(const Share& share, double energy) {
    all = all && share.defined();
    if (!share.defined()) return;
    any = true;
    effect += energy * share.effect;
    variance += energy * energy * share.sd * share.sd;
  }
  Share of(double energy) const { return any ? Share{effect / energy, std::sqrt(variance) / energy} : Share{}; }
};

Symmetry pooled(const std::vector<Symmetry>& types) {
  Symmetry out;
  SharePool whole, rescaled, turn, stretch, input;
  double share = 0, null = 0;
  for (const Symmetry& s : types) {
    out.energy += s.energy;
    share += s.energy * s.share;
    null += s.energy * s.null;
    whole.add(s.whole, s.energy);
    rescaled.add(s.rescaled, s.energy);
    turn.add(s.turn, s.energy);
    stretch.add(s.stretch, s.energy);
    input.add(s.input, s.energy);
  }
  out.share = share / out.energy;
  out.null = null / out.energy;
  out.whole = whole.of(out.energy);
  if (rescaled.all) out.rescaled = rescaled.of(out.energy);
  out.turn = turn.of(out.energy);
  out.stretch = stretch.of(out.energy);
  out.input = input.of(out.energy);
  return out;
}

std::string headline(const Symmetry& s) {
  const double beyond = s.whole.beyond();
  if (std::abs(beyond) <= kSignificance)
    return fmt::format("What changes off the diagonal is as symmetric as chance has it: {} ± {} beyond ({}).",
                       percent(s.whole.effect), percent(s.whole.sd), z_words(-beyond));
  if (beyond < 0)
    return fmt::format(
        "{} of the off-diagonal change is antisymmetric beyond chance ({}), as where one side turns alone or "
        "both turn against each other.",
        percent(-s.whole.effect), z_words(-beyond));
  return fmt::format("{} of the off-diagonal change is symmetric beyond chance ({})", percent(s.whole.effect),
                     z_words(-beyond));
}

// Symmetric alone does not tell a turn of both sides from a stretch of one; the pattern does.
bool turns_both(const Symmetry& s) {
  return s.turn.beyond() > kSignificance && s.turn.effect >= kExplained * s.whole.effect;
}

// What an effect is made of, and whether row and column factors are enough for it.
std::string made_of(const Symmetry& s, Verdict verdict) {
  std::string out;
  if (verdict == Verdict::No) {
    out =
        ", but factors of rows and columns explain it: fitted out, " +
        (s.rescaled.sd > 0 ? fmt::format("{} is left ({}).", percent(s.rescaled.effect), z_words(-s.rescaled.beyond()))
                           : "nothing is left.");
  } else {
    out = verdict == Verdict::Yes ? (turns_both(s) ? ", as where both sides turn alike." : ".")
                                  : fmt::format(", less than the {} that we call an effect.", percent(kEffect, 1));
    out += " A stretch of one side, or of rows or columns, would look so too";
    out += std::isnan(s.rescaled.effect)
               ? "."
               : fmt::format(": with factors of rows and columns fitted out, {} is left ({}).",
                             percent(s.rescaled.effect), z_words(-s.rescaled.beyond()));
  }
  return out;
}

// The side-resolved figures.
std::string by_side(const Symmetry& s) {
  std::string out;
  if (s.turn.defined() && s.stretch.defined()) {
    const std::string turn = fmt::format("{} ± {}", percent(s.turn.effect), percent(s.turn.sd)),
                      stretch = fmt::format("{} ± {}", percent(s.stretch.effect), percent(s.stretch.sd));
    const bool one_side = s.stretch.effect >= kExplained * s.whole.effect && s.stretch.beyond() > kSignificance;
    out =
        turns_both(s) || !one_side || s.whole.effect < 0
            ? fmt::format(" By its pattern {} is a turn of both sides, {} a stretch of one{}.", turn, stretch,
                          s.stretch.effect < 0 ? " (negative: one side turns alone)" : "")
            : fmt::format(" By its pattern it is a stretch of one side ({}) and no turn of both ({}).", stretch, turn);
  }
  if (std::abs(s.input.beyond()) > kSignificance) {
    out += fmt::format(" The {} side has more of the change, by {} ± {}.", s.input.effect > 0 ? "input" : "output",
                       percent(std::abs(s.input.effect)), percent(s.input.sd));
  }
  return out;
}

using Groups = std::map<Verdict, Names>;

// Each type's own verdict, where it is not the headline's. `groups` is without the types that have not changed.
std::string by_type(const Groups& groups, Verdict of_all, const Types& types) {
  std::string out;
  Names same;
  for (const TypeRow& type : types) {
    if (type.unchanged == 1) same.push_back(type.type);
  }
  const auto say = [&](Verdict verdict, std::string_view words) {
    const auto found = groups.find(verdict);
    if (found == groups.end()) return;
    out += fmt::format("{}{} {}", out.empty() ? " By type: " : "; ", words, listed(found->second));
  };
  const bool alike = groups.size() == 1 && groups.begin()->first == of_all;
  if (!alike) {
    say(Verdict::Yes, "an effect in");
    say(Verdict::No, "explained by rows and columns in");
    say(Verdict::Slight, fmt::format("beyond chance but below {} in", percent(kEffect, 1)));
    say(Verdict::Counter, "antisymmetric, an effect, in");
    say(Verdict::AsChance, "as chance in");
  }
  say(Verdict::Rounding, "not clear of rounding in");
  say(Verdict::Undefined, "undefined in");
  if (types.size() == 1) return "";
  if (!same.empty()) out += (out.empty() ? " By type: " : "; ") + ("unchanged in " + listed(same));
  return out.empty() ? "" : out + ".";
}

Verdict overall(Verdict of_all, const Groups& groups) {
  if (of_all == Verdict::Yes) return of_all;
  if (groups.contains(Verdict::Yes)) return Verdict::SomeTypes;
  for (const Verdict verdict : {Verdict::Counter, Verdict::Slight, Verdict::No}) {
    if (of_all == verdict || groups.contains(verdict)) return verdict;
  }
  return of_all;
}

// Why there is nothing to test.
std::string why_undefined(const Rows& rows) {
  bool changed = false, lacks = false;
  for (const MatrixRow& row : rows) {
    changed = changed || row.energy.total > 0;
    lacks = lacks || (row.energy.total > 0 && std::isnan(row.energy.co_rotation));
  }
  if (!changed) return "nothing has changed but the scale";
  return lacks ? "in each matrix base or post lacks directions" : "nothing is off the diagonal";
}

Finding without_answer(const Groups& groups, const Rows& rows, const Types& types) {
  constexpr FindingId id = FindingId::CoRotation;
  if (!groups.contains(Verdict::Rounding)) {
    return undefined(id, kUndefined, kEffect, names_of(types),
                     fmt::format("Whether the change is symmetric is undefined, because {}.", why_undefined(rows)));
  }
  double ratio = 0, share = 0;
  for (const TypeRow& type : types) {
    ratio = std::fmax(ratio, type.rounding_ratio);
    share = std::fmax(share, type.energy.co_rotation + type.energy.counter_rotation);
  }
  if (share < kArithmetic) {
    return make(id, Verdict::Rounding, kUndefined, kUndefined, kEffect, kUndefined, names_of(types),
                "No direction turns: what the change has off the diagonal is no more than arithmetic leaves there.");
  }
  return make(id, Verdict::Rounding, kUndefined, kUndefined, kEffect, kUndefined, names_of(types),
              fmt::format("The change beside the scale is not clear of what storing rounds away: off the diagonal it "
                          "has at most {} times the energy that rounding gives, and {} are needed to tell which sides "
                          "turn.",
                          fixed(ratio, 1), fixed(kRounding, 0)));
}

}  // namespace

Verdict judge_co_rotation(const TypeRow& type) {
  return judged(symmetry_of(type));
}

Finding co_rotation(const Rows& rows, const Types& types) {
  Groups groups;
  std::vector<Symmetry> usable;
  for (const TypeRow& type : types) {
    const Symmetry s = symmetry_of(type);
    const Verdict verdict = judged(s);
    if (type.unchanged != 1) groups[verdict].push_back(type.type);
    if (verdict != Verdict::Undefined && verdict != Verdict::Rounding) usable.push_back(s);
  }
  if (usable.empty()) return without_answer(groups, rows, types);
  const Symmetry all = pooled(usable);
  const Verdict of_all = judged(all), verdict = overall(of_all, groups);
  std::string text = headline(all);
  if (all.whole.beyond() > kSignificance) text += made_of(all, of_all);
  if (std::abs(all.whole.beyond()) > kSignificance) text += by_side(all);
  const auto named = groups.find(verdict == Verdict::SomeTypes ? Verdict::Yes : verdict);
  return make(FindingId::CoRotation, verdict, all.share, all.null, kEffect, -all.whole.beyond(),
              named == groups.end() ? Names{} : named->second, text + by_type(groups, of_all, types));
}

}  // namespace gyro::findings
