// Whether all types share one scale, and whether W_O is scaled unlike the others.

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "gyro/diff/findings/parts.h"

namespace gyro::findings {
namespace {

constexpr double kCommonScalar = 0.002;  // what a type's c may be off the middle one
constexpr double kLeastScalar = 0.5;     // below it there is hardly anything left of the base to scale
constexpr double kUnscaled = 2e-4;       // what c may be off 1
constexpr double kWoAnomaly = 0.2;       // W_O's α above the other types'

// What two types' c may differ by.
double tolerance(const TypeRow& a, const TypeRow& b) {
  return std::fmax(kCommonScalar, kSignificance * std::hypot(a.scale_sd, b.scale_sd));
}

// "c is undefined in W_K, because ...".
std::string without_scale(const Types& types) {
  Names names;
  for (const TypeRow& type : types) {
    if (std::isnan(type.scale_mean)) names.push_back(type.type);
  }
  if (names.empty()) return "";
  return fmt::format(" c is undefined in {}, because all matrices of the base are zero there.", listed(names));
}

// The type whose c is in the middle: one type that is off moves no other.
const TypeRow& middle_of(const Types& types) {
  std::vector<const TypeRow*> sorted;
  for (const TypeRow& type : types) sorted.push_back(&type);
  std::sort(sorted.begin(), sorted.end(),
            [](const TypeRow* a, const TypeRow* b) { return a->scale_mean < b->scale_mean; });
  return *sorted[sorted.size() / 2];
}

std::string shared_words(double c, double departure, double noise) {
  const std::string number = fmt::format("c = {}, to within {} in each", fixed(c, 4), distance(departure));
  if (std::abs(c - 1) <= std::fmax(kUnscaled, noise))
    return fmt::format("All types keep their scale: {} (training without weight decay leaves 1).", number);
  if (c < 0) return fmt::format("One scalar explains the scaling of every type, and it is negative: {}.", number);
  if (c > 1)
    return fmt::format("One scalar explains the scaling of every type: {} (weight decay would leave less than 1).",
                       number);
  return fmt::format(
      "One scalar explains the scaling of every type: {}, as decoupled weight decay leaves it: "
      "exp(−wd·Σlr) with wd·Σlr = {}.",
      number, fixed(-std::log(c), 4));
}

std::string unshared_words(const Types& off, const TypeRow& middle) {
  std::string list;
  for (size_t i = 0; i < off.size(); ++i) {
    if (i > 0) list += i + 1 == off.size() ? " and " : ", ";
    list += fmt::format("{} in {}", fixed(off[i].scale_mean, 4), type_name(off[i].type));
  }
  return fmt::format("No common scalar: the best c of W_post ≈ c·W_base is {}, where the middle type ({}) has {}.",
                     list, type_name(middle.type), fixed(middle.scale_mean, 4));
}

// α without what noise of the change's size adds to it: what is left of noise alone is c.
double bare_alpha(const TypeRow& type) {
  return type.alpha_mean - (type.null.alpha_mean - std::abs(type.scale_mean));
}

}  // namespace

Finding common_scalar(const Types& all_types) {
  constexpr FindingId id = FindingId::CommonScalar;
  Types types = all_types;
  std::erase_if(types, [](const TypeRow& type) { return std::isnan(type.scale_mean); });
  if (types.empty()) {
    return undefined(id, 1, kCommonScalar, names_of(all_types),
                     "The scale c is undefined, because all matrices of the base are zero.");
  }
  const TypeRow& middle = middle_of(types);
  const double c = middle.scale_mean;
  if (types.size() == 1) {
    return make(id, Verdict::Undefined, c, 1, kCommonScalar, kUndefined, names_of(types),
                fmt::format("Whether all types share one scalar is undefined, because {} alone has one: c = {}.{}",
                            type_name(middle.type), fixed(c, 4), without_scale(all_types)));
  }
  Types off;
  double departure = 0;
  for (const TypeRow& type : types) {
    departure = std::max(departure, std::abs(type.scale_mean - c));
    if (std::abs(type.scale_mean - c) > tolerance(type, middle)) off.push_back(type);
  }
  if (off.empty() && std::abs(c) <= kLeastScalar) {
    return make(id, Verdict::No, c, 1, kCommonScalar, kUndefined, names_of(types),
                fmt::format("No common scalar: c = {} leaves hardly anything of the base to scale.{}", fixed(c, 4),
                            without_scale(all_types)));
  }
  const bool shared = off.empty();
  std::string text = shared ? shared_words(c, departure, kSignificance * middle.scale_sd) : unshared_words(off, middle);
  return make(id, shared ? Verdict::Yes : Verdict::No, c, 1, kCommonScalar, kUndefined, names_of(shared ? types : off),
              text + without_scale(all_types));
}

std::optional<Finding> w_o_anomaly(const Types& types) {
  constexpr FindingId id = FindingId::WoAnomaly;
  const TypeRow* w_o = nullptr;
  double sum = 0, taken = 0;
  int64_t others = 0;
  for (const TypeRow& type : types) {
    const double bare = bare_alpha(type);
    if (type.type == MatrixType::O) {
      w_o = &type;
    } else if (!std::isnan(bare)) {
      sum += bare;
      taken = std::max(taken, std::abs(type.alpha_mean - bare));
      ++others;
    }
  }
  if (w_o == nullptr) return std::nullopt;
  const auto because = [&](const std::string& why) {
    return undefined(id, 0, kWoAnomaly, {MatrixType::O}, "Whether W_O stands out is undefined, because " + why + ".");
  };
  if (types.size() == 1) return because("no other type was compared");
  const double own = bare_alpha(*w_o), rest = sum / static_cast<double>(others);
  if (std::isnan(w_o->alpha_mean)) return because("α is not defined for it: the base lacks leading directions");
  if (std::isnan(own)) return because("it has no null to compare with");
  if (others == 0) return because("no other type has an α and a null of it");
  const std::string numbers =
      fmt::format("its α is {}, the other types' {} on average; what noise adds (up to {}) is taken off", fixed(own, 4),
                  fixed(rest, 4), distance(std::max(taken, std::abs(w_o->alpha_mean - own))));
  const bool found = own - rest > kWoAnomaly;
  return make(id, found ? Verdict::Yes : Verdict::No, own - rest, 0, kWoAnomaly, kUndefined, {MatrixType::O},
              found ? fmt::format("W_O stands out, as the paper finds for reasoning models: {}.", numbers)
                    : fmt::format("No W_O anomaly: {}.", numbers));
}

}  // namespace gyro::findings
