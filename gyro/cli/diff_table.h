#pragma once

#include <string>

#include "gyro/diff/result.h"

namespace gyro {

/// A result as text for a terminal, at most 100 columns: Table 3 of the paper with its null, the other
/// pooled figures of each comparison, and the findings.
std::string diff_table(const DiffResult& result);

}  // namespace gyro
