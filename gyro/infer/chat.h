#pragma once

#include <chrono>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "gyro/infer/chat_template.h"
#include "gyro/infer/generate.h"
#include "gyro/infer/load.h"

namespace gyro {

/// A model as one talks to it.
struct ChatModel {
  LoadedModel loaded;
  std::optional<ChatTemplate> chat_template;  ///< its own, if it has one and it is needed
  ChatContext context;                        ///< with its special tokens, and the date if it is told one
  std::vector<int32_t> ends;                  ///< ascending: the tokens that end an answer
};

/// What a model is opened for.
enum class ForChat {
  Conversations,  ///< templates that ask for the date are told today's
  Questions,      ///< that are the same on any day: templates are told kQuestionsDay, at noon by the local clock
  PlainTexts      ///< without its template
};

/// What Llama 3's templates print where nobody tells them the date.
inline constexpr std::chrono::year_month_day kQuestionsDay{std::chrono::July / 26 / 2024};

/// Takes what a conversation needs from the model's files, or from its GGUF file. Throws Error naming a template that
/// is none, if it is needed.
ChatModel open_chat(LoadedModel loaded, ForChat what = ForChat::Conversations);

/// The tokens of a conversation, up to where the model's answer begins. Throws Error naming the model if it has no
/// template, or with what the template raises.
std::vector<int32_t> chat_prompt(const ChatModel& model, std::span<const ChatMessage> messages);

/// The tokens of a text to continue as it is, with what the tokenizer puts before text.
std::vector<int32_t> plain_prompt(const ChatModel& model, std::string_view text);

/// The bytes that a token adds to an answer: none for a control token.
std::string answer_piece(const ChatModel& model, int32_t id);

}  // namespace gyro
