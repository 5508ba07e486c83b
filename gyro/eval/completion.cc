#include "gyro/eval/completion.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "gyro/base/error.h"
#include "gyro/base/team.h"

namespace gyro {
namespace {

// The system's text before the first question.
void fold_system(std::vector<ChatMessage>& messages) {
  if (messages.size() < 2 || messages[0].role != "system") return;
  messages[1].content = messages[0].content + "\n\n" + messages[1].content;
  messages.erase(messages.begin());
}

bool renders(const ChatModel& model, std::initializer_list<ChatMessage> messages) {
  try {
    const std::vector<ChatMessage> list = messages;
    return model.chat_template->render(list, model.context).find("needle") != std::string::npos;
  } catch (const Error&) {
    return false;
  }
}

// The bytes of an answer, and how many of its tokens are no end.
Completion completion_of(const ChatModel& model, std::string prompt, const Generation& text) {
  Completion out;
  out.prompt = std::move(prompt);
  std::string bytes;
  for (const int32_t id : text.ids) bytes += answer_piece(model, id);
  out.output = as_utf8(bytes);
  out.tokens = static_cast<int64_t>(text.ids.size()) - (text.finish == Finish::End ? 1 : 0);
  out.cut = text.finish == Finish::Length || text.finish == Finish::Context;
  return out;
}

void complete(const ChatModel& model, PromptStyle style, std::span<const CompletionRequest> requests,
              const CompletionOptions& options, const CompletionSink& sink) {
  std::vector<std::vector<ChatMessage>> conversations;
  for (const CompletionRequest& request : requests) conversations.push_back(request.messages);
  const std::vector<std::string> texts = render_prompts(model, style, std::move(conversations));
  std::vector<GeneratePrompt> prompts;
  for (size_t i = 0; i < requests.size(); ++i) {
    prompts.push_back({prompt_ids(model, style, texts[i]), requests[i].stream});
  }
  GenerateOptions generation;
  generation.sampler = options.sampler;
  generation.max_tokens = options.max_tokens;
  generation.slots = options.concurrency;
  const auto goes_on = [&](size_t, int32_t) { return !options.stop || !options.stop(); };
  Team team(options.stop);  // which a prompt's computation asks as well
  const TeamMember member(&team);
  generate(model.loaded.engine, prompts, model.ends, generation, goes_on, [&](size_t i, const Generation& text) {
    if (text.finish != Finish::Stopped) sink(i, completion_of(model, texts[i], text));
  });
}

}  // namespace

std::string as_utf8(const std::string& text) {
  using Json = nlohmann::json;
  return Json::parse(Json(text).dump(-1, ' ', false, Json::error_handler_t::replace));
}

std::string_view style_name(PromptStyle style) {
  constexpr std::string_view kNames[] = {"chat template", "chat template, the system prompt within the first question",
                                         "plain text, as it has no chat template"};
  return kNames[static_cast<size_t>(style)];
}

PromptStyle prompt_style(const ChatModel& model) {
  if (!model.chat_template) return PromptStyle::Plain;
  if (renders(model, {{"system", "needle"}, {"user", "b"}})) return PromptStyle::Template;
  return PromptStyle::TemplateFoldsSystem;
}

std::vector<std::string> render_prompts(const ChatModel& model, PromptStyle style,
                                        std::vector<std::vector<ChatMessage>> conversations) {
  if (style == PromptStyle::TemplateFoldsSystem) std::ranges::for_each(conversations, fold_system);
  if (style != PromptStyle::Plain) return model.chat_template->render_all(conversations, model.context);
  std::vector<std::string> texts;
  for (const std::vector<ChatMessage>& messages : conversations) {
    std::string& text = texts.emplace_back();
    for (const ChatMessage& message : messages) text += message.content + "\n\n";
  }
  return texts;
}

std::vector<int32_t> prompt_ids(const ChatModel& model, PromptStyle style, const std::string& prompt) {
  return style == PromptStyle::Plain ? plain_prompt(model, prompt)
                                     : tokens_of(model.loaded, prompt, SpecialTokens::None);
}

Completer complete_by(const ChatModel& model) {
  return [&model, style = prompt_style(model)](std::span<const CompletionRequest> requests,
                                               const CompletionOptions& options, const CompletionSink& sink) {
    try {
      complete(model, style, requests, options, sink);
    } catch (const Stopped&) {  // by options.stop, as answers are
    }
  };
}

}  // namespace gyro
