#pragma once

#include <string>
#include <vector>

#include "gyro/diff/result.h"

namespace gyro {

/// What lies outside the matrices, in one or two sentences that follow from its numbers.
std::string outside_words(const Outside& outside);

/// Whether tokens changed by more than the largest of so many rows would by chance, and which: in one sentence that
/// follows from the numbers.
std::string token_words(const TokenRows& tokens);

/// "2 values are no numbers: model.norm.weight (2)" of the base or of the post; empty where there are none.
std::string odd_words(const Outside& outside, bool in_base);

/// "lacks 2 tensors that the base has: norm.weight, ...; has 1 that the base lacks: ..."; empty where nothing is
/// lacking.
std::string lacking_words(const std::vector<std::string>& missing, const std::vector<std::string>& added);

}  // namespace gyro
