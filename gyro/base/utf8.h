#pragma once

#include <cstddef>
#include <string_view>

namespace gyro {

/// Number of code points of UTF-8 text. A byte that belongs to no whole code point may count as one.
size_t code_points(std::string_view text);

/// Whether all of `text` is UTF-8: no code point that is cut off, longer than it need be, a surrogate, or above
/// U+10FFFF.
bool is_utf8(std::string_view text);

/// The longest beginning of `text` that has at most `limit` bytes and ends between two code points.
std::string_view first_bytes(std::string_view text, size_t limit);

/// The beginning of `text` of at most `count` code points.
std::string_view first_code_points(std::string_view text, size_t count);

}  // namespace gyro
