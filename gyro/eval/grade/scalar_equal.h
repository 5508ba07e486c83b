#pragma once

#include <optional>
#include <string_view>

#include "gyro/eval/grade/evaluate.h"

namespace gyro::grading {

/// Whether two expressions without brackets, sets or relations are equal, and by which rule: "number-equal" (rational
/// constants), "symbolic-equal" (exact values at points), "evaluated-equal" (values with bounds) and "percent-equal".
std::optional<std::string_view> scalar_equal(const Expression& a, const Expression& b, Budget& budget);

/// Whether a = k b for a constant k that is not zero (positive where `positive`), by values at points. Not where a or b
/// is a constant itself.
bool proportional(const Expression& a, const Expression& b, bool positive, Budget& budget);

}  // namespace gyro::grading
