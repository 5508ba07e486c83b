#pragma once

#include <string>

#include "gyro/cli/terminal.h"
#include "gyro/diff/result.h"

namespace gyro {

/// A result for a terminal: tables that fit its width, and at the end, where it is seen first, what was found.
std::string diff_text(const DiffResult& result, const Terminal& terminal);
/// The same tables and findings in Markdown.
std::string diff_markdown(const DiffResult& result);
/// The tables for LaTeX.
std::string diff_latex(const DiffResult& result);
/// A line for each matrix of each comparison, with every field of it that result.json has, nested ones as
/// `energy.z`; an undefined number is an empty cell.
std::string diff_csv(const DiffResult& result);

}  // namespace gyro
