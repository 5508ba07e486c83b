#include "gyro/diff/pool_quantities.h"

#include <algorithm>
#include <cmath>

namespace gyro {
namespace {

// One matrix that has changed: its quantities and ‖E‖².
struct Item {
  const Quantities& quantities;
  double energy;
};
using Items = std::vector<Item>;

// How much is known of a figure: with a null's deviation, with a null, alone, not at all.
int known(const Against& figure) {
  return std::isnan(figure.value) ? 0 : std::isnan(figure.null) ? 1 : std::isnan(figure.sd) ? 2 : 3;
}

// Σ w x / Σ w of value and null over those of which most is known.
template <typename Figure, typename Weight>
Against weighted(const Items& items, Figure figure, Weight weight) {
  int most = 0;
  for (const Item& item : items) most = std::max(most, known(figure(item.quantities)));
  double weights = 0, value = 0, null = 0, variance = 0;
  for (const Item& item : items) {
    const Against& one = figure(item.quantities);
    const double w = weight(item);
    if (most == 0 || known(one) < most || !(w > 0)) continue;
    weights += w;
    value += w * one.value;
    null += w * one.null;
    variance += w * w * one.sd * one.sd;
  }
  if (!(weights > 0)) return {};
  return {value / weights, null / weights, std::sqrt(variance) / weights};
}

template <typename Figure>
Against mean_of(const Items& items, Figure figure) {
  return weighted(items, figure, [](const Item&) { return 1.0; });
}

template <typename Figure>
double mean(const Items& items, Figure figure) {
  return mean_of(items, [&](const Quantities& q) { return Against{figure(q), 0, 0}; }).value;
}

// The same part of each.
template <typename Part>
PrincipalShare pooled_share(const Items& items, Part part) {
  const auto energy = [](const Item& item) { return item.energy; };
  PrincipalShare out = part(items.front().quantities);
  for (const Item& item : items) out.k = std::min(out.k, part(item.quantities).k);
  out.u = weighted(
      items, [&](const Quantities& q) -> const Against& { return part(q).u; }, energy);
  out.v = weighted(
      items, [&](const Quantities& q) -> const Against& { return part(q).v; }, energy);
  out.uv = weighted(
      items, [&](const Quantities& q) -> const Against& { return part(q).uv; }, energy);
  return out;
}

template <typename Part>
SubspaceOverlap pooled_overlap(const Items& items, Part part) {
  SubspaceOverlap out{.k = part(items.front().quantities).k, .u = {}, .v = {}};
  for (const Item& item : items) {
    const SubspaceOverlap& one = part(item.quantities);
    out.k = std::min(out.k, one.k);
    out.angle_max_u = std::fmax(out.angle_max_u, one.angle_max_u);
    out.angle_max_v = std::fmax(out.angle_max_v, one.angle_max_v);
  }
  out.u = mean_of(items, [&](const Quantities& q) -> const Against& { return part(q).u; });
  out.v = mean_of(items, [&](const Quantities& q) -> const Against& { return part(q).v; });
  return out;
}

// Counts, and of those that were drawn the nulls.
Intruders pooled_intruders(const Items& items) {
  Intruders out;
  const auto add = [](double& sum, double one) {
    if (!std::isnan(one)) sum = (std::isnan(sum) ? 0 : sum) + one;
  };
  for (const Item& item : items) {
    const Intruders& one = item.quantities.intruders;
    out.of += one.of;
    out.u += one.u;
    out.v += one.v;
    add(out.u_null, one.u_null);
    add(out.v_null, one.v_null);
  }
  return out;
}

template <typename Part>
HeavyTail pooled_tail(const Items& items, Part part) {
  HeavyTail out{.alpha = mean(items, [&](const Quantities& q) { return part(q).alpha; }),
                .distance = mean(items, [&](const Quantities& q) { return part(q).distance; }),
                .lambda_min = mean(items, [&](const Quantities& q) { return part(q).lambda_min; })};
  for (const Item& item : items) out.count += part(item.quantities).count;
  return out;
}

SpectrumShift pooled_spectrum(const Items& items) {
  return {.nss = mean(items, [](const Quantities& q) { return q.spectrum.nss; }),
          .nss_c = mean_of(items, [](const Quantities& q) -> const Against& { return q.spectrum.nss_c; }),
          .erank_base = mean(items, [](const Quantities& q) { return q.spectrum.erank_base; }),
          .erank_post = mean(items, [](const Quantities& q) { return q.spectrum.erank_post; }),
          .ww_alpha_base =
              pooled_tail(items, [](const Quantities& q) -> const HeavyTail& { return q.spectrum.ww_alpha_base; }),
          .ww_alpha_post =
              pooled_tail(items, [](const Quantities& q) -> const HeavyTail& { return q.spectrum.ww_alpha_post; })};
}

// Means of what was measured where it was asked for, in each matrix or in none.
template <typename Part>
std::optional<Part> pooled_part(const Items& items, std::optional<Part> Quantities::*part,
                                const std::vector<Against Part::*>& figures) {
  const bool asked =
      std::all_of(items.begin(), items.end(), [&](const Item& item) { return (item.quantities.*part).has_value(); });
  if (!asked) return std::nullopt;
  Part out;
  for (const auto figure : figures)
    out.*figure = mean_of(items, [&](const Quantities& q) -> const Against& { return *(q.*part).*figure; });
  return out;
}

}  // namespace

std::optional<Quantities> pool_quantities(const std::vector<const MatrixRow*>& rows) {
  Items items;
  for (const MatrixRow* row : rows) {
    if (row->quantities && row->unchanged != 1) items.push_back({*row->quantities, row->energy.total});
  }
  if (items.empty()) return std::nullopt;
  Quantities out;
  out.principal_share = {
      pooled_share(items, [](const Quantities& q) -> const PrincipalShare& { return q.principal_share.q01; }),
      pooled_share(items, [](const Quantities& q) -> const PrincipalShare& { return q.principal_share.q10; }),
      pooled_share(items, [](const Quantities& q) -> const PrincipalShare& { return q.principal_share.q50; })};
  out.subspace_overlap = {
      pooled_overlap(items, [](const Quantities& q) -> const SubspaceOverlap& { return q.subspace_overlap.q01; }),
      pooled_overlap(items, [](const Quantities& q) -> const SubspaceOverlap& { return q.subspace_overlap.q10; }),
      pooled_overlap(items, [](const Quantities& q) -> const SubspaceOverlap& { return q.subspace_overlap.q50; })};
  out.intruders = pooled_intruders(items);
  out.spectrum = pooled_spectrum(items);
  using Update = UpdateSpectrum;
  out.update_spectrum =
      pooled_part(items, &Quantities::update_spectrum,
                  {&Update::erank, &Update::rank_90, &Update::rank_99, &Update::top1, &Update::top16, &Update::spikes});
  out.masks = pooled_part(items, &Quantities::masks, {&MaskOverlap::low, &MaskOverlap::principal});
  return out;
}

}  // namespace gyro
