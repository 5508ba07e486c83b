#include "gyro/infer/load.h"

#include "gyro/infer/no_llama/refuse.h"
#include "gyro/infer/perplexity.h"

namespace gyro {

LoadedModel load_model(const std::filesystem::path&, const EngineOptions&, const std::optional<std::string>&) {
  refuse();
}
// NOLINTNEXTLINE(performance-unnecessary-value-param): as it is declared
LoadedModel load_model(std::shared_ptr<const TensorSource>, const EngineOptions&, const std::optional<std::string>&) {
  refuse();
}
std::string piece(const llama_vocab*, int32_t, ControlTokens) {
  refuse();
}
std::vector<int32_t> tokens_of(const LoadedModel&, std::string_view, SpecialTokens) {
  refuse();
}

double Perplexity::value() const {
  refuse();
}
Perplexity measure_perplexity(Engine&, std::span<const int32_t>, int64_t, const std::function<void(int64_t)>&) {
  refuse();
}

}  // namespace gyro
