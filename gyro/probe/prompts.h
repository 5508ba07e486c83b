#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "gyro/eval/task.h"
#include "gyro/infer/chat.h"

namespace gyro {

/// A question as a model is probed by it: the tokens up to where its answer begins.
struct ProbePrompt {
  std::string task, id;
  std::string question;  ///< its text; of GPQA, which asks that it is not spread, how it begins
  bool hidden = false;   ///< tokens' texts are not to be kept, as GPQA's are not
  std::vector<int32_t> ids;
};

/// The questions of some tasks, in their order, as the model is asked them by `gyro eval` (system prompt, template, no
/// examples). Throws Error naming the question for one that does not fit into the context, or what a template raises.
std::vector<ProbePrompt> probe_prompts(const ChatModel& model, const std::vector<Task>& tasks);

}  // namespace gyro
