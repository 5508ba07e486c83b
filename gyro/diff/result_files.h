#pragma once

#include <filesystem>
#include <optional>

#include "gyro/diff/result.h"

namespace gyro {

/// Writes arrays.safetensors, then result.json into a folder that exists, each atomically. Throws Error naming the
/// file.
void write_result_files(const std::filesystem::path& folder, const DiffResult& result);

/// The result of a folder's result.json, without arrays; nothing if the file is missing or holds no such result.
/// Throws Error if it cannot be read.
std::optional<DiffResult> find_result(const std::filesystem::path& folder);

/// What a folder's arrays.safetensors holds. Throws Error naming the file.
ResultArrays read_arrays(const std::filesystem::path& folder);

}  // namespace gyro
