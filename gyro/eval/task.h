#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "gyro/eval/grade/grade.h"

namespace gyro {

/// A question as a model is asked it and graded.
struct Question {
  std::string id;                    ///< unique in its task: the file's own where it has one, else its place from 0
  std::string text;                  ///< without the choices
  std::vector<std::string> choices;  ///< A first; empty of an open question
  std::string gold;                  ///< the answer; of choices the letter
  std::string solution;              ///< how it is worked out, where the file says that
  std::string subject;               ///< empty if there are none
};

/// What kinds of files there are.
enum class TaskForm {
  Gsm8k,          ///< jsonl: question, answer that ends in "#### N"
  Math,           ///< jsonl: problem, answer (MATH-500), solution or unique_id if any
  Mmlu,           ///< csv without a header: question, four choices, letter; or a folder of such, one a subject
  Gpqa,           ///< csv with a header: Question, Correct Answer, Incorrect Answer 1 to 3; choices are shuffled
  CommonsenseQa,  ///< jsonl: question.stem and .choices, or question and choices.text, answerKey
  Choices,        ///< jsonl: question, choices (a list), answer (a letter, or a place from 0)
  Open            ///< jsonl: question, answer
};
std::string_view form_name(TaskForm form);

/// The paper's system prompts (App. H.1), for GSM8K and for the other tasks.
inline constexpr std::string_view kSimplePrompt = "Please put your final answer within \\boxed{}.";
inline constexpr std::string_view kBriefPrompt =
    "Please put your final answer within \\boxed{} and keep your thought process as short as possible.";

struct Task {
  std::string name;
  std::filesystem::path path;
  TaskForm form = TaskForm::Open;
  grading::Policy policy = grading::Policy::Math;
  std::string system;               ///< system prompt
  std::vector<Question> questions;  ///< at least one
  std::string sha256;               ///< of the files that it was read from
};

/// Reads a task from a file or, of MMLU, folder, and tells its form by what is in it. Choices of GPQA are shuffled by
/// `seed` and question. Throws Error naming the file, with the line, for anything that is not of the form: no question,
/// an answer that is none of the choices, an id that occurs twice, more than 26 choices, text that is not UTF-8.
Task read_task(const std::string& name, const std::filesystem::path& path, uint64_t seed);

/// Where a task of that name ("gsm8k", "math500", "mmlu", "gpqa", "commonsenseqa") lies in a folder, by the names under
/// which it is distributed (docs/evaluation.md). Throws Error naming the folder and what was looked for.
std::filesystem::path find_task(const std::string& name, const std::filesystem::path& folder);

/// Keeps `limit` questions (0: all), in an order shuffled by `seed` unless that is 0: the first of the file's.
void limit_questions(Task& task, int64_t limit, uint64_t shuffle_seed);

/// Whether its questions and what is made of them are not to be kept whole: GPQA's authors ask that it does not spread.
bool is_hidden(const Task& task);
/// What of such a question may be kept: how it begins.
std::string shown_of_hidden(const std::string& text);

/// The user's turn: the question, of choices by the template of App. H.1 (any number of them, "four" by its name).
std::string question_prompt(const Question& question);

/// The assistant's turn of a question that is shown as an example: the worked solution, then the answer in a box.
std::string example_answer(const Question& question);

}  // namespace gyro
