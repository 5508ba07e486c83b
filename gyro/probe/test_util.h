#pragma once

// Shipped models that are asked shipped questions; no product code includes this.

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "gyro/checkpoint/checkpoint.h"
#include "gyro/eval/task.h"
#include "gyro/infer/chat.h"
#include "gyro/probe/prompts.h"

namespace gyro {

inline std::shared_ptr<const TensorSource> shipped_source(const std::string& name) {
  return std::make_shared<Checkpoint>(std::filesystem::path(GYRO_SOURCE_DIR) / "models" / name);
}

inline ChatModel shipped_chat(const std::string& name) {
  return open_chat(load_model(shipped_source(name), {.dtype = DType::F32, .threads = 1}));
}

/// The first sums in words, as the model is asked them under the paper's simple system prompt.
inline std::vector<ProbePrompt> shipped_prompts(const ChatModel& model, int64_t count) {
  Task task = read_task("tiny", std::filesystem::path(GYRO_SOURCE_DIR) / "data/tiny_gsm8k.jsonl", 0);
  limit_questions(task, count, 0);
  task.system = kSimplePrompt;
  return probe_prompts(model, {task});
}

}  // namespace gyro
