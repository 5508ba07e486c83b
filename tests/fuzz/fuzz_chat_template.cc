#include <vector>

#include "gyro/infer/chat_template.h"
#include "tests/fuzz/fuzz.h"

// A template is taken or refused in one line. It is then rendered, unless it could take all the time that it has: what
// grows without end is ended, but not soon enough for a fuzzer.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text = gyro::as_text(data, size);
  static const std::vector<gyro::ChatMessage> messages = {
      {"system", "Be brief."}, {"user", "1 + 1?"}, {"assistant", " 2 "}, {"user", "{{ 3 }}"}};
  const bool unbounded = text.find('*') != text.npos || text.find("range") != text.npos ||
                         text.find("indent") != text.npos || text.find("for") != text.rfind("for");
  gyro::expect_result_or_one_line([&] {
    const gyro::ChatTemplate chat_template("fuzz", text);
    if (!unbounded) chat_template.render(messages, {"<s>", "</s>", std::nullopt, std::nullopt, true, 0});
  });
  return 0;
}
