#pragma once

#include <string>
#include <string_view>

namespace gyro {

/// Standard base64 with padding.
std::string base64(std::string_view bytes);
/// What such text stands for. Throws Error naming `subject` if it is none.
std::string base64_bytes(const std::string& subject, std::string_view text);

}  // namespace gyro
