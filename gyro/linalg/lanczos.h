#pragma once

#include "gyro/linalg/linalg.h"

namespace gyro::linalg {

/// The largest eigenvalue of a positive semi-definite symmetric matrix (lower triangle), by Lanczos from a fixed start;
/// relative error below `tolerance` (the residual of the Ritz pair is the test).
double largest_eigenvalue(ConstMatrixView a, double tolerance);

}  // namespace gyro::linalg
