// Where the update is: on which directions, in which matrices, and whether it is one at all.

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "gyro/diff/findings/parts.h"
#include "gyro/diff/pool_quantities.h"

namespace gyro::findings {
namespace {

constexpr double kPrincipal = 0.1;  // of chance, by which a share must be beyond it
constexpr double kHidden = 0.5;     // share of ‖E‖² that rounding makes up, from which on the rest is not seen
constexpr const char* kRounding = "rounding_only";

std::vector<const MatrixRow*> pointers(const Rows& rows) {
  std::vector<const MatrixRow*> out;
  for (const MatrixRow& row : rows) out.push_back(&row);
  return out;
}

double relative(const Against& share) {
  return share.value / share.null - 1;
}

bool is_beyond(const Against& share) {
  return std::abs(share.z()) > kSignificance;
}

bool is_large(const Against& share) {
  return is_beyond(share) && std::abs(relative(share)) > kPrincipal;
}

// "13 % on the input side (chance 9.8 %, z = 31)"
std::string side_words(const Against& share, const char* where) {
  return fmt::format("{} {} (chance {}, {})", percent(share.value), where, percent(share.null), z_words(share.z()));
}

// "lies on ... on the input side and off them on the output side"
std::string headline(const Against& u, const Against& v) {
  const bool on_u = relative(u) > 0, on_v = relative(v) > 0;
  const char* of = "the base's principal directions";
  if (is_large(u) && is_large(v) && on_u != on_v) {
    return fmt::format("The update lies on {} on the {} side and off them on the {} side", of,
                       on_u ? "input" : "output", on_u ? "output" : "input");
  }
  if (is_large(u) || is_large(v))
    return fmt::format("The update lies {} {}", (is_large(u) ? on_u : on_v) ? "on" : "off", of);
  if (is_beyond(u) || is_beyond(v))
    return fmt::format("The update is spread over {} nearly as chance spreads it, by less than a tenth of it apart",
                       of);
  return fmt::format("The update is spread over {} as chance spreads it", of);
}

double hidden_share(const Rows& rows) {
  double rounding = 0, all = 0;
  for (const MatrixRow& row : rows) {
    if (!(row.energy.total > 0) || std::isnan(row.rounding_over_residual)) continue;
    rounding += row.energy.total * row.rounding_over_residual * row.rounding_over_residual;
    all += row.energy.total;
  }
  return rounding / all;
}

// The types whose own share is as far beyond chance, on that side.
Names types_like(const Types& types, bool input, bool on) {
  Names names;
  for (const TypeRow& type : types) {
    if (!type.quantities) continue;
    const PrincipalShare& share = type.quantities->principal_share.q10;
    const Against& side = input ? share.u : share.v;
    if (is_large(side) && (relative(side) > 0) == on) names.push_back(type.type);
  }
  return names;
}

// Matrices that have changed, and those of them whose intruders have a null.
struct Drawn {
  double all = 0, with = 0;
};
Drawn drawn_of(const Rows& rows) {
  Drawn out;
  for (const MatrixRow& row : rows) {
    if (!row.quantities || row.unchanged == 1) continue;
    ++out.all;
    out.with += std::isnan(row.quantities->intruders.u_null) ? 0 : 1;
  }
  return out;
}

// Whether the verdict is the input side's: what is large goes before what is beyond chance, and then the larger z.
bool decides(const Against& u, const Against& v) {
  const auto rank = [](const Against& side) { return std::pair(is_large(side), std::abs(side.z())); };
  return rank(u) >= rank(v);
}

Verdict judged(const Against& u, const Against& v) {
  if (is_large(u) || is_large(v)) {
    const bool on = (is_large(u) && relative(u) > 0) || (is_large(v) && relative(v) > 0);
    return on ? Verdict::Yes : Verdict::Counter;
  }
  return is_beyond(u) || is_beyond(v) ? Verdict::Slight : Verdict::AsChance;
}

// "layers 0 to 3", "layer 7" where whole layers are untouched.
std::string layers_words(const std::vector<int64_t>& layers) {
  std::vector<std::string> spans;
  for (size_t i = 0; i < layers.size();) {
    size_t end = i + 1;
    while (end < layers.size() && layers[end] == layers[end - 1] + 1) ++end;
    spans.push_back(end - i > 1 ? fmt::format("{} to {}", layers[i], layers[end - 1]) : fmt::format("{}", layers[i]));
    i = end;
  }
  constexpr size_t kShown = 4;
  const size_t more = spans.size() > kShown ? spans.size() - kShown : 0;
  spans.resize(spans.size() - more);
  return fmt::format("layer{} {}{}", layers.size() == 1 ? "" : "s", fmt::join(spans, ", "),
                     more > 0 ? fmt::format(" and {} more spans", more) : "");
}

std::vector<int64_t> untouched_layers(const Rows& rows) {
  std::map<int64_t, bool> layers;
  for (const MatrixRow& row : rows) {
    const bool same = row.unchanged == 1;
    const auto [it, is_new] = layers.try_emplace(row.layer, same);
    it->second = it->second && same;
  }
  std::vector<int64_t> out;
  for (const auto& [layer, same] : layers) {
    if (same) out.push_back(layer);
  }
  return out;
}

}  // namespace

std::optional<Finding> principal_update(const Rows& rows, const Types& types) {
  constexpr FindingId id = FindingId::PrincipalUpdate;
  const std::optional<Quantities> pooled = pool_quantities(pointers(rows));
  if (!pooled) return std::nullopt;
  const PrincipalShare& share = pooled->principal_share.q10;
  if (std::isnan(share.u.null) || std::isnan(share.v.null)) {
    return undefined(id, kUndefined, kPrincipal, names_of(types),
                     "Where the update's energy lies is undefined, because in each matrix that changed nothing has "
                     "changed but the scale, or the base lacks directions.");
  }
  const bool input = decides(share.u, share.v);
  const Against& side = input ? share.u : share.v;
  if (hidden_share(rows) > kHidden || std::isnan(side.z())) {
    return make(id, Verdict::Rounding, side.value, side.null, kPrincipal, side.z(), names_of(types),
                "On which directions the update lies is hidden by rounding: storing the post rounds away more than "
                "half as much as the change holds.");
  }
  const Verdict verdict = judged(share.u, share.v);
  std::string text =
      fmt::format("{}: the leading tenth of them holds, of its energy, {}, {}, and {} on both (chance {}).",
                  headline(share.u, share.v), side_words(share.u, "on the input side"),
                  side_words(share.v, "on the output side"), percent(share.uv.value), percent(share.uv.null));
  Names names = is_large(side) ? types_like(types, input, relative(side) > 0) : Names{};
  if (is_large(side) && !names.empty() && names.size() < types.size())
    text += fmt::format(" On the {} side so in {}.", input ? "input" : "output", listed(names));
  return make(id, verdict, side.value, side.null, kPrincipal, side.z(), std::move(names), text);
}

std::optional<Finding> intruder_dimensions(const Rows& rows, const Types& types) {
  const std::optional<Quantities> pooled = pool_quantities(pointers(rows));
  if (!pooled) return std::nullopt;
  constexpr FindingId id = FindingId::Intruders;
  const Intruders& found = pooled->intruders;
  if (found.of == 0) {
    return undefined(id, kUndefined, kSignificance, names_of(types),
                     "Whether there are intruder dimensions is undefined, because base or post has no directions.");
  }
  const auto looked = static_cast<double>(2 * found.of), count = static_cast<double>(found.u + found.v);
  const std::string of = counted(2 * found.of, "leading direction", "leading directions");
  if (count == 0) {
    return make(id, Verdict::No, 0, kUndefined, kSignificance, kUndefined, {},
                fmt::format("No intruder dimensions: each of the post's {}, both sides together, has a cosine of at "
                            "least ½ with one of the base.",
                            of));
  }
  // Drawn where there are any alone: as many are taken to be in each of the others. The two sides come together, and
  // the draw varies as the count does.
  const Drawn drawn = drawn_of(rows);
  const double null = (found.u_null + found.v_null) * drawn.all / drawn.with,
               z = (count - null) / std::sqrt(2 * (count + null) + 1);
  if (std::isnan(null)) {
    return undefined(id, kUndefined, kSignificance, names_of(types),
                     fmt::format("{} of the post's {} have no cosine of ½ with any of the base; whether that is more "
                                 "than chance is undefined, because chance could not be drawn.",
                                 found.u + found.v, of));
  }
  Names names;
  for (const TypeRow& type : types) {
    if (type.quantities && type.quantities->intruders.u + type.quantities->intruders.v > 0) names.push_back(type.type);
  }
  const bool beyond = z > kSignificance;
  return make(
      id, beyond ? Verdict::Yes : Verdict::AsChance, count / looked, null / looked, kSignificance, z, names,
      fmt::format("{}: {} of the post's {}, both sides together, {} no cosine of ½ with any of the base{}, "
                  "where noise as large as the change makes {}, as a draw in the matrices that have some tells ({}).",
                  beyond ? "Intruder dimensions" : "Intruder dimensions no more than chance makes", found.u + found.v,
                  of, count == 1 ? "has" : "have",
                  names.size() < types.size() ? fmt::format(", all in {}", listed(names)) : "", std::llround(null),
                  z_words(z)));
}

std::optional<Finding> untouched_types(const Rows& rows, const Types& types) {
  Names whole;
  int64_t count = 0, of_whole = 0;
  for (const TypeRow& type : types) {
    int64_t all = 0, same = 0;
    for (const MatrixRow& row : rows) {
      if (row.type != type.type) continue;
      ++all;
      same += row.unchanged == 1 ? 1 : 0;
    }
    count += same;
    if (same < all) continue;
    whole.push_back(type.type);
    of_whole += same;
  }
  if (count == 0) return std::nullopt;
  const auto all = static_cast<int64_t>(rows.size());
  std::string text;
  if (count == of_whole) {
    text = fmt::format("{} {} bit-identical to the base's.", listed(whole), is_or_are(whole));
  } else {
    text = fmt::format("{} of {} {} untouched", count, counted(all, "matrix", "matrices"), count == 1 ? "is" : "are");
    if (!whole.empty()) text += fmt::format(", all of {} among them", listed(whole));
    if (const std::vector<int64_t> layers = untouched_layers(rows); !layers.empty())
      text += fmt::format("{} all of {}", whole.empty() ? "," : " and", layers_words(layers));
    text += ".";
  }
  return make(FindingId::UntouchedTypes, whole.empty() ? Verdict::SomeTypes : Verdict::Yes,
              static_cast<double>(count) / static_cast<double>(all), kUndefined, kUndefined, kUndefined, whole, text);
}

std::optional<Finding> rounding_only(const Rows& rows, const Types& types) {
  Names names;
  int64_t count = 0, changed = 0;
  for (const MatrixRow& row : rows) {
    changed += row.unchanged == 1 ? 0 : 1;
    if (std::find(row.flags.begin(), row.flags.end(), kRounding) == row.flags.end()) continue;
    ++count;
    if (std::find(names.begin(), names.end(), row.type) == names.end()) names.push_back(row.type);
  }
  if (count == 0) return std::nullopt;
  const bool all = count == changed;
  const std::string what = all ? "The whole change is rounding: no weight of the matrices that differ"
                               : fmt::format("Part of the change is rounding: in {} of {} that differ no weight", count,
                                             counted(changed, "matrix", "matrices"));
  return make(FindingId::RoundingOnly, all ? Verdict::Yes : Verdict::SomeTypes,
              static_cast<double>(count) / static_cast<double>(changed), kUndefined, kUndefined, kUndefined,
              all ? names_of(types) : names,
              what + " is further from the base's than storing it in the coarser of the two types puts it.");
}

}  // namespace gyro::findings
