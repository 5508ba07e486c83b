#pragma once

#include <cstdint>
#include <ctime>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gyro/checkpoint/source.h"

namespace gyro {

/// One turn of a conversation. Roles are what templates know: system, user, assistant.
struct ChatMessage {
  std::string role, content;
};

/// What a template may ask for besides the messages. A token that the model does not have is undefined for it.
struct ChatContext {
  std::optional<std::string> bos_token, eos_token, pad_token, unk_token;
  bool add_generation_prompt = true;              ///< ends where the model's answer begins
  std::optional<std::time_t> now = std::nullopt;  ///< what strftime_now tells; the clock's time if not given
};

/// The text of a model's chat template, or nothing if it has none: chat_template.jinja, or `chat_template` of
/// tokenizer_config.json, which is a text, or a list of named ones, of which the one named "default" counts. Throws
/// Error naming the file that is malformed.
std::optional<std::string> read_chat_template(const TensorSource& source);

/// A Jinja template of a conversation, rendered byte for byte as transformers' apply_chat_template does, by
/// llama.cpp's engine. It does not change: threads may render at the same time.
class ChatTemplate {
 public:
  /// Throws Error naming `subject`: text that is no Jinja template or nested beyond what templates need.
  ChatTemplate(std::string_view subject, std::string_view text);
  ~ChatTemplate();
  ChatTemplate(ChatTemplate&&) noexcept;
  ChatTemplate& operator=(ChatTemplate&&) noexcept;

  /// The text that the model is to continue. Throws Error naming the template's subject: what the template itself
  /// raises (roles that do not take turns), what the engine cannot do, a template that recurses, loops or grows
  /// without end. It is rendered apart (base/apart.h), in a child process: ten seconds of a processor and 512 MB are
  /// the most.
  std::string render(std::span<const ChatMessage> messages, const ChatContext& context) const;
  /// Those of many conversations, in their order, at less cost than one by one.
  std::vector<std::string> render_all(std::span<const std::vector<ChatMessage>> conversations,
                                      const ChatContext& context) const;

  /// Whether it may print the date, by strftime_now.
  bool asks_the_date() const { return asks_the_date_; }

 private:
  struct Program;
  std::string subject_;
  bool asks_the_date_;
  std::unique_ptr<const Program> program_;
};

}  // namespace gyro
