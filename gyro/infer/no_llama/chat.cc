#include "gyro/infer/chat.h"

#include "gyro/base/error.h"
#include "gyro/infer/library.h"

namespace gyro {
namespace {

[[noreturn]] void refuse() {
  fail("engine", "{}", infer_library());
}

}  // namespace

struct ChatTemplate::Program {};
ChatTemplate::~ChatTemplate() = default;
ChatTemplate::ChatTemplate(ChatTemplate&&) noexcept = default;
ChatTemplate& ChatTemplate::operator=(ChatTemplate&&) noexcept = default;

ChatModel open_chat(LoadedModel) {
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
