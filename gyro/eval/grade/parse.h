#pragma once

#include <optional>
#include <string_view>

#include "gyro/eval/grade/expression.h"
#include "gyro/eval/grade/tokens.h"

namespace gyro::grading {

inline constexpr size_t kMaxAnswer = 4096;  // bytes that are parsed
inline constexpr int kMaxDepth = 256;       // of the parser's recursion: some fifty brackets

/// The tree of an answer's tokens; nothing for what is not understood, or nested deeper than kMaxDepth.
std::optional<Expression> parse(const std::vector<Token>& tokens);

/// The exact value of a Number token; nothing for one of more digits than are calculated with.
std::optional<Rational> exact_decimal(std::string_view digits);

}  // namespace gyro::grading
