#include "gyro/infer/chat.h"

#include "gyro/infer/no_llama/refuse.h"

namespace gyro {

struct ChatTemplate::Program {};
ChatTemplate::~ChatTemplate() = default;
ChatTemplate::ChatTemplate(ChatTemplate&&) noexcept = default;
ChatTemplate& ChatTemplate::operator=(ChatTemplate&&) noexcept = default;
std::string ChatTemplate::render(std::span<const ChatMessage>, const ChatContext&) const {
  refuse();
}

ChatModel open_chat(LoadedModel, ForChat) {
  refuse();
}
std::vector<int32_t> chat_prompt(const ChatModel&, std::span<const ChatMessage>) {
  refuse();
}
std::vector<int32_t> plain_prompt(const ChatModel&, std::string_view) {
  refuse();
}
std::string answer_piece(const ChatModel&, int32_t) {
  refuse();
}
}  // namespace gyro
