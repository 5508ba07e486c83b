#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <optional>
#include <string>

#include "gyro/infer/load.h"

namespace gyro {

inline constexpr const char* kUsualDtype = "f32";  ///< that a checkpoint's weights are run in

/// How a command that runs a model is asked to.
struct EngineArguments {
  std::string model, device = "cpu";
  std::optional<std::string> dtype, pre;
  int threads = 0;
};

/// Adds --dtype, --pre, --device and --threads.
void add_engine_options(CLI::App& command, EngineArguments& arguments);

/// How an engine runs a checkpoint by these options. Throws CLI::ValidationError.
EngineOptions engine_options(const EngineArguments& arguments);

/// Loads `model`, a .gguf file or what open_subject takes, as the options say. Throws CLI::ValidationError, and Error
/// as open_subject and load_model do.
LoadedModel load_model(const EngineArguments& arguments, bool quiet,
                       const std::shared_ptr<const TensorSource>& base = nullptr);
/// The same of a checkpoint that is open; null for a .gguf file.
LoadedModel load_model(const EngineArguments& arguments, std::shared_ptr<const TensorSource> source);

}  // namespace gyro
