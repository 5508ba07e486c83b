#pragma once

#include <cstddef>
#include <functional>
#include <string_view>

namespace gyro {

/// Which characters of a text one match of a pre-tokenizer's expression may hold: white space or others, or a line.
enum class MatchSpan { Run, Line };

/// Code points of the longest such stretch of UTF-8 text.
size_t longest_stretch(std::string_view text, MatchSpan span);

/// Calls `work` on a thread with a stack of `bytes`, of which only what it uses takes memory, and waits. Throws what it
/// throws; Error `memory` where that much address space is not to be had.
void on_deep_stack(size_t bytes, const std::function<void()>& work);

}  // namespace gyro
