#pragma once

#include <cstdint>
#include <vector>

#include "gyro/checkpoint/source.h"
#include "gyro/diff/result.h"
#include "gyro/diff/value_sums.h"

namespace gyro {

/// The rows of the embeddings or of the head that changed most, of all of `rows` (one a token, in their order), beside
/// what chance gives: the same ‖Δ‖ spread evenly, which is gaussian of the standard deviation s = ‖Δ‖/√(Vd) in each of
/// V rows of d values. Then ‖Δrow‖ = s χ_d, a row of the base's norm b changes by √2 s Γ((d+1)/2)/Γ(d/2)/b on average,
/// and the largest of all rows by ∫ 1 − Π_i F(x b_i/s) dx, F the distribution of χ_d by Wilson and Hilferty's cube
/// root. A row that is zero in the base has no relative change; it is sorted, and held against chance, by ‖Δrow‖ over
/// the root mean square of the base's row norms. Without the tokens' texts and without words (complete_tokens).
TokenRows token_rows(OutsideKind kind, const std::vector<ValueSums>& rows);

/// Puts in the tokens' texts, as the base's tokenizer has them, and the words.
void complete_tokens(const TensorSource& base, const std::vector<TokenRows*>& all);

/// What the largest of rows with those base norms (each above 0) changes by on average, relative to its norm, where
/// every value of the `values` in a row changes by gaussian noise of the standard deviation `sd` (above 0).
double expected_largest(const std::vector<double>& norms, int64_t values, double sd);

}  // namespace gyro
