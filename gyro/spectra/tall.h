#pragma once

#include <functional>

#include "gyro/linalg/linalg.h"
#include "gyro/tensor/matrix.h"
#include "gyro/tensor/weight.h"

namespace gyro {

/// A weight seen as the tall matrix A (m x n, m >= n) on which the analysis works: A = W (paper's d_in x d_out) when
/// d_in >= d_out, else A = Wᵀ. So the long-side vectors are the paper's U in the first case and V in the second.
struct TallWeight {
  const Weight* weight = nullptr;
  bool transposed = false;  ///< A = Wᵀ
  int64_t m = 0;
  int64_t n = 0;
  double factor = 1;  ///< a power of two by which values are multiplied as they are converted
};
TallWeight as_tall(const Weight& weight);

/// The power of two that brings the largest magnitude into [1, 2) where it is beyond 2^±100, so that neither squares
/// nor fourth powers overflow or vanish; else 1. Only FP64 weights can be such; others are not looked at.
double safe_factor(const TallWeight& a);

/// Rows [begin, begin + count) of A in FP64, kept as A's rows (count x n) or, for a transposed weight, as columns of W
/// (n x count): whichever the stored bytes are.
struct Panel {
  MatrixView data;
  bool transposed = false;
  int64_t begin = 0;
  int64_t count = 0;
};

/// Converts A panel by panel, in order, where the weight lies: in a buffer of a few megabytes on the host, of half a
/// gigabyte on a GPU. The mapped pages are released afterwards.
void for_each_panel(const TallWeight& a, const std::function<void(const Panel&)>& visit);
/// The same over two weights of one shape, panels in step.
void for_each_panel(const TallWeight& a, const TallWeight& b,
                    const std::function<void(const Panel&, const Panel&)>& visit);

/// G += panelᵀ panel (lower triangle), as rows of A.
void add_gram(const Panel& panel, MatrixView g);
/// C += aᵀ b.
void add_cross(const Panel& a, const Panel& b, MatrixView c);
/// y = panel x: (count x s) from (n x s).
void apply(const Panel& panel, ConstMatrixView x, MatrixView y);
/// z += panelᵀ y: (n x s) from (count x s).
void add_adjoint(const Panel& panel, ConstMatrixView y, MatrixView z);

/// All of A in FP64 (m x n): for the direct SVD only.
Matrix to_dense(const TallWeight& a);

/// Throws Error naming the tensor, with the number of its NaN and infinite values, if `norm_squared` (the sum of its
/// squares) is not finite.
void check_finite(const Weight& weight, double norm_squared);

/// What work on two d_in x d_out weights takes at most, in bytes: panels, the n x n matrices that are live at once, an
/// eigenproblem's workspace included, and `dense` FP64 matrices of the weights' size. On a GPU the weights as they are
/// stored come on top; on the host, where a run must not end for lack of memory, a direct SVD of both.
size_t working_memory(Space space, int64_t d_in, int64_t d_out, int dense = 0);

}  // namespace gyro
