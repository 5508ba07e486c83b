#include "gyro/base/utf8.h"

#include <algorithm>
#include <cstdint>

namespace gyro {
namespace {

constexpr size_t kLongest = 4;  // bytes of a code point

bool continues(char c) {
  return (static_cast<unsigned char>(c) & 0xc0) == 0x80;
}

}  // namespace

size_t code_points(std::string_view text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) { return !continues(c); }));
}

bool is_utf8(std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    const auto lead = static_cast<unsigned char>(text[at]);
    const size_t length = lead < 0x80 ? 1 : lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
    if (length == 0 || length > text.size() - at) return false;
    uint32_t code = length == 1 ? lead : lead & (0x7fU >> length);
    for (size_t i = 1; i < length; ++i) {
      if (!continues(text[at + i])) return false;
      code = code << 6 | (static_cast<unsigned char>(text[at + i]) & 0x3fU);
    }
    if ((length == 3 && code < 0x800) || (length == 4 && (code < 0x10000 || code > 0x10ffff))) return false;
    if (code >= 0xd800 && code < 0xe000) return false;
    at += length;
  }
  return true;
}

std::string_view first_bytes(std::string_view text, size_t limit) {
  if (text.size() <= limit) return text;
  size_t end = limit;
  // Further back than one code point is no text: then the bytes are cut as they are.
  while (end > 0 && limit - end < kLongest && continues(text[end])) --end;
  return text.substr(0, continues(text[end]) ? limit : end);
}

std::string_view first_code_points(std::string_view text, size_t count) {
  size_t end = 0;
  for (; end < text.size(); ++end) {
    if (!continues(text[end]) && count-- == 0) break;
  }
  return text.substr(0, end);
}

}  // namespace gyro
