#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "gyro/checkpoint/source.h"
#include "gyro/eval/task.h"

namespace gyro {

/// A model that is named on the command line, opened by open_model; null for no name. What is odd about it is said on
/// stderr unless `quiet`. Throws Error naming what cannot be read.
std::shared_ptr<const TensorSource> open_subject(const std::string& given, bool quiet,
                                                 const std::shared_ptr<const TensorSource>& base = nullptr);

/// "NAME=PATH" in its two parts; what is there as it stands is a path, whose name is empty.
std::pair<std::string, std::string> split_name(const std::string& text);

/// The task that a word of the command line names: "NAME=PATH", a path, or a name to be found in the folder `data`.
/// Throws Error as read_task does, the field "data" where there is no folder to look in.
Task named_task(const std::string& text, const std::string& data, uint64_t seed);

}  // namespace gyro
