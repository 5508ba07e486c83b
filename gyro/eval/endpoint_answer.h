#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "gyro/eval/completion.h"

namespace gyro {

/// What a server of the chat completions API answered with: the first choice's text, its thinking before it within
/// <think> and </think> (left open where the answer was cut within it), why it ended, and its length as the server
/// counts it. `prompt` is empty. Throws Error naming `subject`, whose kind is Io for a body that ends too early
/// (another try may bring all of it), else Input: no JSON, no choice, an end other than by itself or at the limit, a
/// length that cannot be.
Completion read_answer(const std::string& subject, std::string_view body, int64_t max_tokens);

/// The ids of the models that a server lists; empty for a body that is no such list.
std::vector<std::string> read_models(std::string_view body);

/// What the body of a failed request says went wrong, in a line that is safe to print; empty for an empty body.
std::string server_message(std::string_view body);

}  // namespace gyro
