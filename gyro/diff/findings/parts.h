#pragma once

#include <optional>
#include <string>

#include "gyro/diff/findings/words.h"

// One function a finding, each from the rows and pooled types that are asked: fused ones left out, at least one row.
// docs/architecture.md has the thresholds, docs/validity.md how often each is found where it is not true.
namespace gyro::findings {

/// What is beyond |z| of it is beyond chance.
inline constexpr double kSignificance = 4;

/// A finding without words: ids, verdicts and numbers that are not finite become NaN.
Finding make(FindingId id, Verdict verdict, double value, double null, double threshold, double z, Names types,
             std::string text);

/// What cannot be said, and why not: "... is undefined, because ...".
Finding undefined(FindingId id, double null, double threshold, Names types, std::string text);

/// What a type's own numbers say, and how far below 1 its α std over its null's must be (NaN: no null).
Verdict judge_uniform_scaling(const Rows& rows, const TypeRow& type);
double uniform_scaling_margin(const TypeRow& type);
Verdict judge_co_rotation(const TypeRow& type);

Finding unrelated(const Rows& rows, const Types& types);
Finding uniform_scaling(const Rows& rows, const Types& types);
Finding common_scalar(const Types& types);
/// Nothing where there is no W_O.
std::optional<Finding> w_o_anomaly(const Types& types);
Finding co_rotation(const Rows& rows, const Types& types);
Finding low_rank_update(const Rows& rows, const Types& types);
Finding sparse_update(const Rows& rows, const Types& types);
/// On which of the base's directions the update lies; nothing in results without quantities.
std::optional<Finding> principal_update(const Rows& rows, const Types& types);
std::optional<Finding> intruder_dimensions(const Rows& rows, const Types& types);
/// Which types and layers are the base's, of all rows; nothing where every matrix has changed.
std::optional<Finding> untouched_types(const Rows& rows, const Types& types);
/// Whether all that differs is what storing rounds; nothing where no matrix is such.
std::optional<Finding> rounding_only(const Rows& rows, const Types& types);
/// Whether BASE and POST may have been given in the wrong order; nothing where nothing hints at it.
std::optional<Finding> order(const std::string& base, const std::string& post, const Types& types);

/// Whether every weight compared is the base's, bit for bit.
bool same_weights(const Rows& rows);

}  // namespace gyro::findings
