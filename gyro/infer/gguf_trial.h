#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace gyro {

/// Has llama.cpp load what a GGUF file says of its model, without the weights, and prepare its computation, in a child
/// process (base/apart.h): it trusts such files so far that it aborts, or worse. Throws Error naming the file with what
/// becomes of it.
void try_gguf(const std::filesystem::path& gguf);

/// What a message of an abort of llama.cpp says, without the place in its source.
std::string abort_reason(std::string_view message);

}  // namespace gyro
