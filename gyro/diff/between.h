#pragma once

#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "gyro/diff/plan.h"
#include "gyro/diff/result.h"

namespace gyro {

/// Of each pair of posts, in the order (0, 1), (0, 2), ..., (1, 2), ..., what their changes of one matrix have in
/// common: one pass over the base's and the posts' values on the processor, sums in FP64. All are of one shape.
std::vector<ChangeOverlap> overlaps_of(const Weight& base, const std::vector<Weight>& posts);

/// Interference of the updates Δ_t = A_t − A of posts, T of them at least two; `update(t)` gives each as d_in x d_out,
/// as often as it is asked, where the thread works. Gaussian updates are drawn from `seed`. Undefined where one is
/// zero, or there are more posts than singular values.
Interference interference_of(size_t posts, const std::function<Matrix(size_t)>& update, uint64_t seed);

/// Puts into a unit's result what the posts' changes of its matrix have in common; nothing of fewer than two posts.
/// Where the thread works (device::Scope).
void measure_between(const DiffPlan& plan, const MatrixSite& site, const Weight& base, UnitResult& result);

/// How many pairs of posts there are.
size_t count_pairs(const DiffPlan& plan);

/// What those units gave, each with count_pairs overlaps; nothing of fewer than two posts.
std::optional<PostsTogether> posts_together(const DiffPlan& plan, const std::map<int64_t, UnitResult>& units);

}  // namespace gyro
