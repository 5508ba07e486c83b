#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "gyro/diff/result.h"

namespace gyro {

/// A checkpoint's first vectors in the base's coordinates, n x k each (PairMeasure).
struct LeadingVectors {
  std::shared_ptr<const Matrix> u, v;
};

/// MatrixRow::drift of a checkpoint; `last` may be the same.
SubspaceDrift drift_of(const LeadingVectors& step, const LeadingVectors& last, const MatrixSite& site);

/// The mean over rows that have one.
std::optional<SubspaceDrift> pool_drift(const std::vector<const MatrixRow*>& rows);

/// From the posts' pooled types, in their order.
Trajectory trajectory_of(const std::vector<Comparison>& comparisons);

}  // namespace gyro
