#pragma once

#include <array>
#include <string_view>
#include <vector>

#include "gyro/probe/cka.h"
#include "gyro/probe/representations.h"

namespace gyro {

/// The readings of eq. 17 that CKA is given in.
enum class CkaReading { PositionMean, QuestionMean, QuestionMeanUnbiased };
inline constexpr std::array kCkaReadings = {CkaReading::PositionMean, CkaReading::QuestionMean,
                                            CkaReading::QuestionMeanUnbiased};
/// "position_mean", ..., and what it is in a line.
std::string_view reading_name(CkaReading reading);
std::string_view reading_description(CkaReading reading);

/// A heat map for each of kCkaReadings, L x L.
using CkaMaps = std::array<Matrix, kCkaReadings.size()>;

/// CKA of each block of one model (rows) with each of another's (columns), of the same prompts; `batches` are of the
/// prompts. NaN where it is not defined.
CkaMaps cka_maps(const Representations& a, const Representations& b, const std::vector<Rows>& batches);

/// Mean of the diagonal of a square map; NaN if one of it is.
double diagonal_mean(const Matrix& map);
/// Mean |a − b| over two maps of one shape; NaN if one of them is.
double mean_distance(const Matrix& a, const Matrix& b);

/// What biased CKA of two independent gaussian matrices of n rows and d columns is about: d/(n + d), the rows being
/// centred and n − 1 ≈ n.
double chance_of_biased_cka(int64_t rows, int64_t columns);

}  // namespace gyro
