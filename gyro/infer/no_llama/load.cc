#include "gyro/infer/load.h"

#include "gyro/base/error.h"
#include "gyro/infer/library.h"

namespace gyro {
namespace {

[[noreturn]] void refuse() {
  fail("engine", "{}", infer_library());
}

}  // namespace

LoadedModel load_model(const std::filesystem::path&, const EngineOptions&, const std::optional<std::string>&) {
  refuse();
}
LoadedModel load_model(std::shared_ptr<const TensorSource>, const EngineOptions&, const std::optional<std::string>&) {
  refuse();
}
std::vector<int32_t> tokens_of(const LoadedModel&, std::string_view, SpecialTokens) {
  refuse();
}

}  // namespace gyro
