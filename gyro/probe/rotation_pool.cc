// Rows of a comparison pooled, and what stands beyond chance.

#include <algorithm>
#include <cmath>

#include "gyro/probe/rotations.h"
#include "gyro/spectra/moments.h"

namespace gyro {
namespace {

using Rows = std::vector<const RotationRow*>;

template <typename Value>
double mean_of(const Rows& rows, const Value& value) {
  Moments moments;
  for (const RotationRow* row : rows) {
    const double x = value(row->pair);
    if (!std::isnan(x)) moments.add(x);
  }
  return moments.mean();
}

TurnMeasure mean_turn(const Rows& rows, TurnMeasure RotationPair::*side) {
  TurnMeasure out;
  for (const auto member :
       {&TurnMeasure::cosine, &TurnMeasure::relative_change, &TurnMeasure::q1_orthogonality,
        &TurnMeasure::q2_orthogonality, &TurnMeasure::identity_distance, &TurnMeasure::identity_distance_null}) {
    out.*member = mean_of(rows, [&](const RotationPair& pair) { return pair.*side.*member; });
  }
  return out;
}

// Of rows in which both correlations are defined.
void pool_correlations(const Rows& rows, SharedMeasure RotationPair::*side, SharedMeasure& out) {
  Moments turns, changes;
  double variance = 0;
  for (const RotationRow* row : rows) {
    const SharedMeasure& m = row->pair.*side;
    if (std::isnan(m.turn_correlation) || std::isnan(m.change_correlation)) continue;
    turns.add(m.turn_correlation);
    changes.add(m.change_correlation);
    variance += m.turn_correlation_sd * m.turn_correlation_sd;
  }
  out.turn_correlation = turns.mean();
  out.change_correlation = changes.mean();
  out.turn_correlation_sd = turns.count() > 0 ? std::sqrt(variance) / static_cast<double>(turns.count()) : kNotDefined;
}

// Shares of Σ weight, the weight being the actual pair's squared difference, also of the null.
void pool_carry(const Rows& rows, SharedMeasure RotationPair::*side, SharedMeasure& out) {
  double total = 0, left = 0, left_kept = 0, chance = 0, variance = 0;
  for (const RotationRow* row : rows) {
    const SharedMeasure& m = row->pair.*side;
    const double weight = row->pair.shared.difference * row->pair.shared.difference;
    if (std::isnan(m.explained) || !(weight > 0)) continue;
    total += weight;
    left += weight * (1 - m.explained);
    left_kept += weight * m.carry_error_kept * m.carry_error_kept;
    chance += weight * m.explained_by_chance;
    variance += weight * weight * m.explained_sd * m.explained_sd;
  }
  if (!(total > 0)) return;
  out.explained = 1 - left / total;
  out.carry_error = std::sqrt(left / total);
  out.carry_error_kept = std::sqrt(left_kept / total);
  out.explained_by_chance = chance / total;
  out.explained_sd = std::sqrt(variance) / total;
}

SharedMeasure pool_shared(const Rows& rows, SharedMeasure RotationPair::*side) {
  SharedMeasure out;
  out.distance = mean_of(rows, [&](const RotationPair& pair) { return (pair.*side).distance; });
  double squares = 0;
  for (const RotationRow* row : rows) squares += (row->pair.*side).difference * (row->pair.*side).difference;
  out.difference = std::sqrt(squares);
  pool_correlations(rows, side, out);
  pool_carry(rows, side, out);
  return out;
}

double distance_z(const Rows& rows) {
  Moments logs;
  for (const RotationRow* row : rows) {
    const double ratio = std::log(row->pair.shared.distance / row->pair.null.distance);
    if (std::isfinite(ratio)) logs.add(ratio);
  }
  if (logs.count() < 3) return kNotDefined;
  return logs.mean() / (logs.sample_deviation() / std::sqrt(static_cast<double>(logs.count())));
}

RotationPool pool(const Rows& rows, std::optional<MatrixType> type) {
  return {type,
          static_cast<int64_t>(rows.size()),
          mean_turn(rows, &RotationPair::post),
          mean_turn(rows, &RotationPair::other),
          pool_shared(rows, &RotationPair::shared),
          pool_shared(rows, &RotationPair::null),
          distance_z(rows)};
}

Standing standing(double z, double effect, double margin) {
  if (std::isnan(z) || std::isnan(effect)) return Standing::Undefined;
  if (!(std::abs(z) > 4) || !(std::abs(effect) > margin)) return Standing::AsNull;
  return effect > 0 ? Standing::Above : Standing::Below;
}

bool is_unrelated(const std::vector<RotationRow>& rows, const RotationPool& all) {
  std::vector<double> beyond;  // cosines beside what chance has of them
  for (const RotationRow& row : rows) {
    const double chance = 4 / std::sqrt(static_cast<double>(row.d_in) * static_cast<double>(row.d_out));
    beyond.push_back(std::abs(row.pair.other.cosine) / std::max(0.1, chance));
  }
  return median(std::move(beyond)) <= 1 && all.other.identity_distance > 1;
}

RotationVerdicts judged(const std::vector<RotationRow>& rows, const RotationPool& all, int64_t null_draws) {
  RotationVerdicts out;
  out.unrelated = is_unrelated(rows, all);
  if (out.unrelated) return out;
  const SharedMeasure &shared = all.shared, &null = all.null;
  out.distance = standing(all.distance_z, shared.distance / null.distance - 1, 0.05);
  const double turns = shared.turn_correlation - shared.change_correlation;
  out.turns = standing(turns / shared.turn_correlation_sd, turns, 0.05);
  const double carried = shared.explained - shared.explained_by_chance - (null.explained - null.explained_by_chance);
  const double deviation = std::sqrt(shared.explained_sd * shared.explained_sd +
                                     null.explained_sd * null.explained_sd / static_cast<double>(null_draws));
  out.carried = standing(carried / deviation, carried, 0.02);
  return out;
}

}  // namespace

RotationComparison pool_rotations(std::vector<RotationRow> rows, int64_t null_draws) {
  RotationComparison out;
  Rows all;
  for (const RotationRow& row : rows) all.push_back(&row);
  for (const MatrixType type : kAllMatrixTypes) {
    Rows of_type;
    std::ranges::copy_if(all, std::back_inserter(of_type), [&](const auto* row) { return row->key.type == type; });
    if (!of_type.empty()) out.types.push_back(pool(of_type, type));
  }
  out.all = pool(all, std::nullopt);
  out.verdicts = judged(rows, out.all, null_draws);
  out.rows = std::move(rows);
  return out;
}

}  // namespace gyro
