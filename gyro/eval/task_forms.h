#pragma once

// How each kind of file becomes questions. Part of task.cc.

#include <string_view>

#include "gyro/eval/csv.h"
#include "gyro/eval/task.h"

namespace gyro {

/// The form of a file by its first record. Throws Error naming `subject`.
TaskForm jsonl_form(std::string_view subject, std::string_view text);
/// One question a line. Throws Error naming `subject` and the line.
std::vector<Question> read_jsonl(std::string_view subject, std::string_view text, TaskForm form);

/// Mmlu or Gpqa, by the header.
TaskForm csv_form(std::string_view subject, const CsvRecords& records);
/// One question a record; `subject_name` is that of MMLU's questions, `seed` shuffles GPQA's choices.
std::vector<Question> read_csv_questions(std::string_view subject, const CsvRecords& records, TaskForm form,
                                         const std::string& subject_name, uint64_t seed);

}  // namespace gyro
