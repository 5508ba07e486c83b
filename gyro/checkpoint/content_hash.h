#pragma once

#include <optional>
#include <string>

#include "gyro/base/run_options.h"
#include "gyro/checkpoint/source.h"

namespace gyro {

/// SHA-256 (hex) of all that the tensors hold: for each, by name in order of bytes, the SHA-256 of its bytes as they
/// are handed out, of its name, dtype and shape. The same for the same tensors, however they are spread over files;
/// another if a single bit of one is. Reads all of them, on run.threads threads (0: all processors). Nothing if
/// run.stop ended it. Throws Error naming what cannot be read.
std::optional<std::string> content_sha256(const TensorSource& source, const RunOptions& run);

}  // namespace gyro
