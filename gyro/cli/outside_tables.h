#pragma once

#include <string>
#include <vector>

#include "gyro/cli/table.h"
#include "gyro/diff/result.h"

namespace gyro {

/// What changed outside the matrices by its kind; no column where nothing has, or an older result does not tell.
Table outside_table(const Outside& outside);
/// Norms and biases by what they are called in their layer: how many changed, the median of their relative changes, and
/// the layer that changed most. No column where none changed.
Table norms_table(const Outside& outside);
/// A sentence for each list of tokens.
std::vector<std::string> token_lines(const Outside& outside);

/// What the changes of each two posts have in common over all matrices; no column where there are no two.
Table posts_table(const DiffResult& result);
/// How the posts' updates stand in each other's way, where that was asked for.
std::vector<std::string> interference_lines(const DiffResult& result);

}  // namespace gyro
