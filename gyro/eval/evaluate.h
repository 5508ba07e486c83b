#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "gyro/base/progress.h"
#include "gyro/eval/completion.h"
#include "gyro/eval/task.h"

namespace gyro {

/// A task as it is asked.
struct EvalTask {
  Task task;
  std::vector<Question> examples;  ///< to show before a question: those of its subject first, if any have it
  bool hides_examples = false;     ///< they are not to be kept with answers, as GPQA's are not
};

struct EvalOptions {
  CompletionOptions completion;
  int64_t repeats = 3;
  int64_t few_shot = 0;         ///< examples before each question
  bool few_shot_turns = false;  ///< each as a turn of its own, not in the question's text
};

/// The conversation that asks a question.
std::vector<ChatMessage> question_messages(const EvalTask& task, const Question& question, const EvalOptions& options);

struct EvalRequest {
  std::vector<std::string> variants;  ///< names, all different
  std::vector<EvalTask> tasks;        ///< of names that are all different
  EvalOptions options;
  /// Makes the variant of that place the one that the completer answers by, until the next is asked for.
  std::function<Completer(size_t variant)> prepare;
  /// Where answers are kept as they come, samples.jsonl; those that an earlier run got to the same questions are not
  /// asked again, and its other variants' stay there. Empty: nowhere.
  std::filesystem::path samples;
  ProgressSink progress;
};

/// What counts of one answer.
struct Score {
  size_t variant = 0, task = 0, question = 0;  ///< places in the request and in its task
  int64_t repeat = 0;
  bool correct = false, correct_flexible = false;
  bool answered = false;  ///< an answer in the form that was asked for
  bool cut = false;
  int64_t tokens = 0;  ///< as Completion has them
};

/// Asks every variant every question of every task, as often as there are repeats. A question's repeat draws the same
/// random numbers whatever the variant and whatever else is asked. Nothing if `options.completion.stop` ended it.
/// Throws Error: what cannot be answered or kept, samples that are of another request.
std::optional<std::vector<Score>> evaluate(const EvalRequest& request);

}  // namespace gyro
