#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gyro/diff/document.h"

namespace gyro {

/// One evaluation of `gyro eval --out DIR`: eval.json's content. Its outputs stay in their file, which may be large.
struct EvaluationInput {
  std::string folder;
  Json document;
  std::filesystem::path samples;  ///< samples.jsonl; empty where there is none
};

/// An eval.json's text, of whom ever, as a document that `evaluation_data` can take. Throws Error naming `subject`, of
/// its own words for an evaluation that has not ended.
Json parse_evaluation(const std::string& subject, std::string_view text);

/// The evaluation that a folder has, if it has one. Throws Error naming the file that is not what `gyro eval` writes.
std::optional<EvaluationInput> read_evaluation(const std::filesystem::path& folder);

/// Questions of a task to show answers to, places in its matrix.
struct ChosenQuestions {
  std::vector<size_t> parted;  ///< variants part over them: those over which they do most evenly, first
  std::vector<size_t> agreed;  ///< all variants that have not collapsed answer alike: right ones first, then wrong ones
};

/// Chosen by rule: of each kind the first in the task's order, at most `parted`, `right` and `wrong` of them. `right`
/// has, of each variant, the share of repeats answered right of each question; half and more counts as right.
ChosenQuestions choose_questions(const std::vector<std::vector<double>>& right, const std::vector<bool>& collapsed,
                                 size_t parted, size_t each_agreed);

/// What the page shows of an evaluation (gyro/report/page/evaluation.js reads it): numbers of eval.json; of
/// samples.jsonl quantiles of lengths, how questions begin, and the answers to some questions. `result`: the place of
/// the result on the page that is of the same folder, -1 for none. Texts are cut as far as `budget` bytes ask for;
/// ReportTooLarge is thrown where that does not do. Throws Error naming samples.jsonl and the line that is none.
Json evaluation_data(const EvaluationInput& input, int64_t result, size_t budget);

/// Of base and post of an evaluation or a probe "base → instruct", or of a model alone its name; fit to print.
std::string evaluation_name(const Json& document);

}  // namespace gyro
