#pragma once

#include <string>
#include <vector>

#include "gyro/cli/table.h"
#include "gyro/eval/summary.h"

namespace gyro {

/// What is known of a task's cells, a row a variant: accuracy and its interval, decoding noise, the flexible reading,
/// lengths, what was cut or gave no answer, and how it stands against the first.
Table task_table(const std::vector<EvalCell>& cells, const std::string& task);
/// The paper's Tables 1, 2, 5, 7 and 8: accuracy ± its deviation over repeats, a column a task; "-" for collapse.
Table accuracy_table(const std::vector<EvalCell>& cells);
/// The paper's Table 6: lengths of answers.
Table length_table(const std::vector<EvalCell>& cells);
/// What the tables' marks and columns mean, and what is to be borne in mind, a sentence a line.
std::vector<std::string> table_notes(const std::vector<EvalCell>& cells);

}  // namespace gyro
