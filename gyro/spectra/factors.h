#pragma once

#include "gyro/base/error.h"
#include "gyro/spectra/decomposition.h"

namespace gyro {

/// A weight with its SVD, A = L Σ Sᵀ (spectra/tall.h says what A is), both where the thread works. L is not formed
/// where the Gram path is exact enough.
struct Factors {
  TallWeight a;
  Decomposition svd;
};

/// A weight has fewer singular values above zero than it has: its singular vectors are not determined.
struct RankDeficient : Error {
  using Error::Error;
};

/// Factors of one weight, or of two that will be combined (then by one method). They refer to the weights, which lie
/// where the thread works (ResidentWeight). The polar factor is right to 1e-7 in
/// Frobenius norm, or the direct SVD is used. Throws Error naming the tensor for NaN and Inf, and RankDeficient naming
/// a weight that is.
Factors factorize(const Weight& weight);
std::pair<Factors, Factors> factorize(const Weight& base, const Weight& post);

/// The same of a weight whose rank may be deficient: then by a direct SVD, and vectors beyond `svd.rank()` are
/// arbitrary. The second always by the direct SVD.
Factors factorize_any(const Weight& weight);
Factors factorize_directly(const Weight& weight);

/// L_bᵀ L_p and S_bᵀ S_p (n x n): the rotations of eq. 6 on the long and the short side.
Matrix long_rotation(const Factors& base, const Factors& post);
Matrix short_rotation(const Factors& base, const Factors& post);

/// L M in the stored layout of the weight (column-major d_in x d_out, that is Hugging Face's rows), M n x n.
Matrix times_long(const Factors& f, ConstMatrixView m);

}  // namespace gyro
