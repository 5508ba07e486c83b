#include "gyro/base/utf8.h"

#include <algorithm>

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
