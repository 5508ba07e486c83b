#include "gyro/base/utf8.h"

#include <algorithm>
#include <cstdint>
#include <utility>

namespace gyro {
namespace {

constexpr size_t kLongest = 4;  // bytes of a code point

bool continues(char c) {
  return (static_cast<unsigned char>(c) & 0xc0) == 0x80;
}

// Where the sign that begins at `at` ends.
size_t end_of_sign(std::string_view text, size_t at) {
  do ++at;
  while (at < text.size() && continues(text[at]));
  return at;
}

// What Unicode calls wide or fullwidth, by blocks, and what takes no room.
constexpr std::pair<uint32_t, uint32_t> kWide[] = {
    {0x1100, 0x115f}, {0x2e80, 0x303e},   {0x3041, 0x33ff},   {0x3400, 0x4dbf},   {0x4e00, 0x9fff},
    {0xa000, 0xa4cf}, {0xac00, 0xd7a3},   {0xf900, 0xfaff},   {0xfe30, 0xfe6f},   {0xff00, 0xff60},
    {0xffe0, 0xffe6}, {0x1f300, 0x1f64f}, {0x1f680, 0x1f6ff}, {0x1f900, 0x1faff}, {0x20000, 0x3fffd}};
constexpr std::pair<uint32_t, uint32_t> kNone[] = {{0x300, 0x36f}, {0x200b, 0x200f}, {0xfe00, 0xfe0f}};

size_t columns_at(std::string_view text, size_t at) {
  const size_t length = end_of_sign(text, at) - at;
  const auto lead = static_cast<unsigned char>(text[at]);
  if (length < 2 || length > kLongest) return 1;
  uint32_t code = lead & (0x7fU >> length);
  for (size_t i = 1; i < length; ++i) code = code << 6 | (static_cast<unsigned char>(text[at + i]) & 0x3fU);
  const auto in = [code](const auto& block) { return block.first <= code && code <= block.second; };
  return std::ranges::any_of(kWide, in) ? 2 : std::ranges::any_of(kNone, in) ? 0 : 1;
}

}  // namespace

size_t columns_of(std::string_view text) {
  size_t columns = 0;
  for (size_t at = 0; at < text.size(); at = end_of_sign(text, at)) columns += columns_at(text, at);
  return columns;
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

std::string_view first_columns(std::string_view text, size_t count) {
  size_t at = 0;
  for (size_t columns = 0; at < text.size(); at = end_of_sign(text, at)) {
    columns += columns_at(text, at);
    if (columns > count) break;
  }
  return text.substr(0, at);
}

}  // namespace gyro
