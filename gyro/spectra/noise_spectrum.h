#pragma once

#include <cstdint>
#include <vector>

#include "gyro/spectra/quantities.h"

namespace gyro {

/// Singular values of an m x n matrix of independent standard normal numbers, m ≥ n, descending: those of a bidiagonal
/// matrix of chi-distributed numbers (Dumitriu & Edelman 2002), which costs n² and not m n².
std::vector<double> gaussian_singular_values(int64_t m, int64_t n, uint64_t seed);

/// The median of the Marchenko-Pastur law of n/m = `ratio` ≤ 1, for eigenvalues of ZᵀZ / m.
double marchenko_pastur_median(double ratio);

/// From the eigenvalues of EᵀE (any order), m x n, which are right to `error`, beside the mean and the deviation of
/// draws of gaussian_singular_values (16 to 64; taken once for a shape). NaN for E = 0.
UpdateSpectrum update_spectrum(std::vector<double> squares, int64_t m, double error);

}  // namespace gyro
