// What kind of update it is: of few directions, or of few weights.

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "gyro/diff/findings/parts.h"
#include "gyro/spectra/moments.h"

namespace gyro::findings {
namespace {

constexpr double kLowRank = 1.0 / 3;  // share of directions that change; LoRA 0.04, full fine-tuning 0.66 and more
constexpr double kHidden = 0.1;       // share of ‖E‖² that rounding makes up, from which on the rest is not seen
constexpr double kSparse = 0.25;      // unchanged weights beyond what a dense change leaves
constexpr double kDense = 0.05;       // what the estimate of the latter may be off

Rows changed_of(Rows rows) {
  std::erase_if(rows, [](const MatrixRow& row) { return row.unchanged == 1; });
  return rows;
}

// Mean over the weights of the rows.
double weighted_mean(const Rows& rows, double MatrixRow::*member) {
  double sum = 0, weights = 0;
  for (const MatrixRow& row : rows) {
    const double size = static_cast<double>(row.d_in) * static_cast<double>(row.d_out);
    sum += size * row.*member;
    weights += size;
  }
  return sum / weights;
}

std::string share_words(double share) {
  if (share == 0) return "None";
  if (share < 1e-6) return "Fewer than 1 in a million";
  return percent(share, 3);
}

}  // namespace

Finding low_rank_update(const Rows& all_rows, const Types& types) {
  constexpr FindingId id = FindingId::LowRankUpdate;
  const Rows rows = changed_of(all_rows);
  std::vector<double> ranks;
  int64_t hidden = 0;
  for (const MatrixRow& row : rows) {
    if (!(row.energy.total > 0) || std::isnan(row.update_rank)) continue;
    ranks.push_back(row.update_rank);
    hidden += row.rounding_over_residual * row.rounding_over_residual > kHidden ? 1 : 0;
  }
  if (ranks.empty()) {
    return undefined(id, 1, kLowRank, names_of(types),
                     fmt::format("The rank of the update is undefined, because {}.",
                                 rows.empty() ? "no matrix has changed" : "nothing has changed but the scale"));
  }
  const double share = median(ranks);
  if (2 * hidden > static_cast<int64_t>(ranks.size())) {
    return make(id, Verdict::Rounding, share, 1, kLowRank, kUndefined, names_of(types),
                fmt::format("The rank of the update is hidden by rounding: storing the post rounds away more than a "
                            "tenth of the change's energy in {} of {}.",
                            hidden, counted(static_cast<int64_t>(ranks.size()), "matrix", "matrices")));
  }
  const std::string number = fmt::format(
      "{} of a matrix's directions (median) change by more than storing the post rounds away", percent(share));
  return make(id, share <= kLowRank ? Verdict::Yes : Verdict::No, share, 1, kLowRank, kUndefined, names_of(types),
              share <= kLowRank
                  ? fmt::format("The update is of low rank, as a LoRA leaves it: {} (limit: a third).", number)
                  : fmt::format("The update is not of low rank: {}.", number));
}

Finding sparse_update(const Rows& all_rows, const Types& all_types) {
  constexpr FindingId id = FindingId::SparseUpdate;
  const Rows rows = changed_of(all_rows);
  Types types = all_types;
  if (!rows.empty()) std::erase_if(types, [](const TypeRow& type) { return type.unchanged == 1; });
  const double share = weighted_mean(rows, &MatrixRow::unchanged);
  if (std::isnan(share)) {
    return undefined(id, kUndefined, kSparse, names_of(types),
                     fmt::format("Whether the update is sparse is undefined, because {}.",
                                 rows.empty() ? "no matrix has changed" : "no weights were counted"));
  }
  const double dense = weighted_mean(rows, &MatrixRow::sparse_expected);
  const std::string where =
      rows.size() == all_rows.size() ? "of the weights" : "of the weights of the matrices that changed";
  const std::string text =
      fmt::format("{} {} {} bit for bit the base's", share_words(share), where, share == 0 ? "is" : "are");
  if (std::isnan(dense)) {
    return make(id, Verdict::Undefined, share, kUndefined, kSparse, kUndefined, names_of(types),
                text +
                    "; whether the update is sparse is undefined, because it is not known what a dense change of this "
                    "size leaves.");
  }
  const double beyond = share - dense;
  const Verdict verdict = beyond > kSparse                       ? Verdict::Yes
                          : beyond > kDense                      ? Verdict::Slight
                          : dense > kSparse && beyond >= -kDense ? Verdict::AsChance
                                                                 : Verdict::No;
  std::string words = text;
  if (verdict == Verdict::Yes) {
    words += fmt::format(": a sparse update, where a dense change of this size leaves {}.", percent(dense));
  } else if (verdict == Verdict::Slight) {
    words += fmt::format(
        ", more than the {} that a dense change of this size leaves, but by less than the {} that we "
        "call sparse.",
        percent(dense), percent(kSparse));
  } else if (verdict == Verdict::AsChance) {
    words += fmt::format(
        ", as a dense change of this size leaves {}: the change is small against the steps of what is "
        "stored.",
        percent(dense));
  } else {
    words +=
        fmt::format("; a dense change of this size leaves {}{}.", beyond < -kDense ? "more: " : "", percent(dense));
  }
  return make(id, verdict, share, dense, kSparse, kUndefined, names_of(types), words);
}

}  // namespace gyro::findings
