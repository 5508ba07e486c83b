#pragma once

#include <cstddef>
#include <string_view>

namespace gyro {

/// Columns that UTF-8 text takes in a terminal: two for each East Asian wide sign and emoji, none for a combining mark,
/// one for any other code point. A byte that belongs to no whole code point may count as one.
size_t columns_of(std::string_view text);

/// Whether all of `text` is UTF-8: no code point that is cut off, longer than it need be, a surrogate, or above
/// U+10FFFF.
bool is_utf8(std::string_view text);

/// The longest beginning of `text` that has at most `limit` bytes and ends between two code points.
std::string_view first_bytes(std::string_view text, size_t limit);

/// The longest beginning of `text` that takes at most `count` columns.
std::string_view first_columns(std::string_view text, size_t count);

}  // namespace gyro
