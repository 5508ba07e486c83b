#pragma once

#include <functional>
#include <string>
#include <vector>

#include "gyro/diff/document.h"

namespace gyro {

/// What stands in one place of the page: a matrix, or where a layer has too many experts for a page all of them, as
/// their numbers in the list of matrices.
using Place = std::vector<size_t>;

/// The places of a result that is shown `comparisons` times over: each matrix its own, unless the experts are so many
/// that each layer's, of each type, share one.
std::vector<Place> places_of(const Json& matrices, size_t comparisons);

/// The rows of places: of a matrix its own; of experts the medians of their numbers (the larger of error bounds, null
/// where none has it), flags that any has, true where all are; of `zero_rows` the `experts` that have such.
Json rows_of(const Json& matrices, const std::vector<Place>& places);

/// Of each place that experts share, and null of others: `low`, `high` (10 and 90 %, linear between neighbours),
/// `furthest` (the value furthest from the median) and `expert` (whose it is).
Json spreads_of(const Json& matrices, const std::vector<Place>& places, const char* key);

/// Σ ‖E‖² (`rest`) and Σ (c ‖W_base‖)² (`scaled`) over the members of such places; null of others. `norms` by matrix.
Json sums_of(const Json& matrices, const std::vector<Place>& places, const std::vector<double>& norms);

/// The median of lists of one length at each of their points, over those that are numbers; the mean of the two in the
/// middle.
std::vector<float> median_of(const std::vector<std::vector<float>>& lists);

}  // namespace gyro
