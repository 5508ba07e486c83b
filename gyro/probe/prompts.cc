#include "gyro/probe/prompts.h"

#include "gyro/base/error.h"
#include "gyro/eval/completion.h"
#include "gyro/eval/evaluate.h"

namespace gyro {

std::vector<ProbePrompt> probe_prompts(const ChatModel& model, const std::vector<Task>& tasks) {
  const PromptStyle style = prompt_style(model);
  std::vector<ProbePrompt> prompts;
  std::vector<std::vector<ChatMessage>> conversations;
  for (const Task& task : tasks) {
    const bool hidden = is_hidden(task);
    for (const Question& question : task.questions) {
      conversations.push_back(question_messages({task, {}}, question, {}));
      prompts.push_back({task.name, question.id, hidden ? shown_of_hidden(question.text) : question.text, hidden, {}});
    }
  }
  const std::vector<std::string> texts = render_prompts(model, style, std::move(conversations));
  const int64_t most = model.loaded.engine.context();
  for (size_t i = 0; i < prompts.size(); ++i) {
    ProbePrompt& prompt = prompts[i];
    prompt.ids = prompt_ids(model, style, texts[i]);
    const auto size = static_cast<int64_t>(prompt.ids.size());
    if (size > most) {
      fail(prompt.task, "question {} has {} tokens, more than the context of {}", printable(prompt.id, 60), size, most);
    }
  }
  return prompts;
}

}  // namespace gyro
