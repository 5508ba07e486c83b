#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "gyro/infer/chat.h"

namespace gyro {

/// A conversation that a model is to continue by one answer.
struct CompletionRequest {
  std::vector<ChatMessage> messages;
  uint64_t stream = 0;  ///< which random numbers it draws
};

struct CompletionOptions {
  SamplerOptions sampler;
  int64_t max_tokens = 1024;
  int concurrency = 32;        ///< answers that are worked on at once
  std::function<bool()> stop;  ///< asked while answers come; true ends them all
};

/// The length of an answer whose length nobody has said.
inline constexpr int64_t kUnknownTokens = -1;

struct Completion {
  std::string prompt;  ///< as the model was given it; what is known of it where a server renders it
  std::string output;  ///< valid UTF-8; bytes that were none are U+FFFD
  int64_t tokens = 0;  ///< of the output, without an end token; of a server as it counts them, or kUnknownTokens
  bool cut = false;    ///< it reached its limit of tokens, or the context's end
};

/// Is told of each answer when it has ended, in no order, one call at a time; not of those that `stop` ended.
using CompletionSink = std::function<void(size_t request, const Completion& completion)>;

/// Answers requests. Throws Error for what cannot be answered, and what the sink throws.
using Completer =
    std::function<void(std::span<const CompletionRequest>, const CompletionOptions&, const CompletionSink&)>;

/// How a model takes a conversation.
enum class PromptStyle {
  Template,             ///< by its chat template
  TemplateFoldsSystem,  ///< by its template, which knows no system role: its text comes before the first question
  Plain                 ///< it has no template: the turns' texts one after the other, parted by empty lines
};
std::string_view style_name(PromptStyle style);
PromptStyle prompt_style(const ChatModel& model);

/// The texts that a model is given. Throws Error with what a template raises.
std::vector<std::string> render_prompts(const ChatModel& model, PromptStyle style,
                                        std::vector<std::vector<ChatMessage>> conversations);

/// The tokens of one of those texts.
std::vector<int32_t> prompt_ids(const ChatModel& model, PromptStyle style, const std::string& text);

/// Answers by a model that is in memory, which must outlive the completer.
Completer complete_by(const ChatModel& model);

/// `text`, with U+FFFD for bytes that are no UTF-8.
std::string as_utf8(const std::string& text);

}  // namespace gyro
