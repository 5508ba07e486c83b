#include "gyro/infer/load.h"

#include <utility>

#include "gyro/base/error.h"
#include "gyro/infer/image_plan.h"
#include "gyro/open/open.h"

namespace gyro {

LoadedModel load_model(const std::filesystem::path& path, const EngineOptions& options,
                       const std::optional<std::string>& pre) {
  if (path.extension() == ".gguf") {
    if (options.dtype) fail_field("dtype", "{} is run as it is: a GGUF file has its own", path.string());
    if (pre) fail_field("pre", "{} says it itself: it is for checkpoints", path.string());
    return {nullptr, std::nullopt, Engine(path, options)};
  }
  return load_model(open_model(path.string()), options, pre);
}

LoadedModel load_model(std::shared_ptr<const TensorSource> source, const EngineOptions& options,
                       const std::optional<std::string>& pre) {
  ImagePlan plan = plan_image(*source, options.dtype);
  Vocabulary vocabulary = read_vocabulary(*source, pre, plan.vocabulary);
  EngineOptions with_vocabulary = options;
  with_vocabulary.vocabulary = &vocabulary;
  Engine engine(*source, std::move(plan), with_vocabulary);
  return {std::move(source), std::move(vocabulary), std::move(engine)};
}

std::vector<int32_t> tokens_of(const LoadedModel& model, std::string_view text, SpecialTokens special) {
  return tokenize(model.engine.vocab(), model.vocabulary ? &*model.vocabulary : nullptr, text, special);
}

}  // namespace gyro
