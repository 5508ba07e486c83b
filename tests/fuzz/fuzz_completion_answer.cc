#include <algorithm>

#include "gyro/eval/endpoint_answer.h"
#include "tests/fuzz/fuzz.h"

// A server's body, as an answer, as an error and as a list of models.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr int64_t kMost = 1000;
  const std::string_view body = gyro::as_text(data, size);
  gyro::expect_result_or_one_line([&] {
    const gyro::Completion answer = gyro::read_answer("fuzz", body, kMost);
    if (answer.tokens < gyro::kUnknownTokens || answer.tokens > 2 * kMost) std::abort();
    if (answer.output != gyro::as_utf8(answer.output)) std::abort();
  });
  const std::string message = gyro::server_message(body);
  if (message.size() > 1000 || std::ranges::any_of(message, [](unsigned char c) { return c < 0x20 || c == 0x7f; }))
    std::abort();
  gyro::read_models(body);
  return 0;
}
