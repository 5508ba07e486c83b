#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "gyro/tensor/matrix.h"

namespace gyro {

/// How alike two representations of the same n inputs are, rows being inputs, whatever turns and scales their columns
/// (Kornblith et al. 2019): with K = XXᵀ and L = YYᵀ of the column-centred X (n x p) and Y (n x q),
///   CKA = HSIC(K, L) / √(HSIC(K, K) HSIC(L, L)), HSIC(K, L) = ⟨K, L⟩ (eq. 17).
/// This biased estimator grows where n is small beside p and q: independent gaussian X and Y give about d/(n + d).
/// Values are 0 to 1, symmetric, and 1 for X = Y. NaN where one side does not vary: n = 1, or rows that differ by
/// rounding alone (‖centred‖ ≤ 1e-12 ‖X‖).
///
/// The unbiased one is the mean of HSIC_1 (Song et al. 2012) over minibatches of rows in place of HSIC (Nguyen et al.
/// 2021): about 0 for independent sides, at times below it. With K and L without their diagonals,
///   HSIC_1(K, L) = [tr KL + (1ᵀK1)(1ᵀL1)/((n − 1)(n − 2)) − 2 (1ᵀKL1)/(n − 2)] / (n(n − 3)).
/// NaN where a side's own mean is not above 0, and for n < 4.
///
/// The functions below give CKA of each of `a` (rows of the result) with each of `b` (its columns), all of the same
/// number of rows and on the host. FP64; a product of rows (n² operations a column) or of columns (n operations a pair
/// of columns), whichever is cheaper.

/// The biased one.
Matrix linear_cka(std::span<const Matrix> a, std::span<const Matrix> b);

/// Rows taken together: the first, and how many.
using Rows = std::pair<int64_t, int64_t>;

inline constexpr int64_t kLeastBatch = 4;  ///< rows of which HSIC_1 is defined

/// `rows` in their order cut into minibatches of `batch`, the last of which takes those left over; 0: all in one, and
/// none of fewer than kLeastBatch. Throws Error, the field "batch", for one below that or above `rows`.
std::vector<Rows> minibatches(int64_t rows, int64_t batch);

/// The unbiased one, in such minibatches; NaN for none.
Matrix unbiased_linear_cka(std::span<const Matrix> a, std::span<const Matrix> b, const std::vector<Rows>& batches);

}  // namespace gyro
