#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gyro/infer/engine.h"
#include "gyro/infer/tokenize.h"

namespace gyro {

/// A model that runs, and what its texts are made of.
struct LoadedModel {
  std::shared_ptr<const TensorSource> source;  ///< null of a GGUF file, which has all in it,
  std::optional<Vocabulary> vocabulary;        ///< as has this
  Engine engine;
};

/// Loads a model with its tokenizer: a folder, or a file whose name ends in .gguf. `pre` names the pre-tokenizer in
/// place of what is recognised (see read_vocabulary). Throws Error naming what cannot be read or run.
LoadedModel load_model(const std::filesystem::path& path, const EngineOptions& options,
                       const std::optional<std::string>& pre = std::nullopt);
/// The same of a source that is open.
LoadedModel load_model(std::shared_ptr<const TensorSource> source, const EngineOptions& options,
                       const std::optional<std::string>& pre = std::nullopt);

/// The tokens of a text, by the model's tokenizer: see tokenize.
std::vector<int32_t> tokens_of(const LoadedModel& model, std::string_view text, SpecialTokens special);

}  // namespace gyro
