#pragma once

#include "gyro/tensor/matrix.h"

namespace gyro::linalg {

/// Which end of the matrix a product begins with.
enum class Sweep { Forward, Backward };

/// y = A x for a symmetric A (n x n, on the host) given by its lower triangle; x and y hold n numbers and do not
/// overlap. The product waits for memory. Who multiplies by one matrix again and again lets the sweeps alternate: each
/// then begins with what the last one has left in the core's own cache.
void symv_lower(ConstMatrixView a, const double* x, double* y, Sweep sweep);

}  // namespace gyro::linalg
