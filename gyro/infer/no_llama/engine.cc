#include "gyro/infer/engine.h"

#include "gyro/infer/hyperparameters.h"
#include "gyro/infer/image_plan.h"
#include "gyro/infer/no_llama/refuse.h"

namespace gyro {

ImagePlan plan_image(const TensorSource&, std::optional<DType>) {
  refuse();
}
void stream_tensor(const TensorSource&, const ImageTensor&, const TensorSink&) {
  refuse();
}

struct Engine::State {};

Engine::Engine(const TensorSource&, const EngineOptions&) {
  refuse();
}
// NOLINTNEXTLINE(performance-unnecessary-value-param): as it is declared
Engine::Engine(const TensorSource&, ImagePlan, const EngineOptions&) {
  refuse();
}
Engine::Engine(const std::filesystem::path&, const EngineOptions&) {
  refuse();
}
Engine::Engine(Engine&&) noexcept = default;
Engine::~Engine() = default;

// Of no engine that there is.
void Engine::swap(const TensorSource&) {
  refuse();
}
void Engine::forward(std::span<const int32_t>, LogitRows, const LogitSink&) {
  refuse();
}
Taps Engine::forward(std::span<const int32_t>, LogitRows, const LogitSink&, const TapRequest&) {
  refuse();
}
std::vector<float> Engine::logits(std::span<const int32_t>) {
  refuse();
}
Continuation Engine::continue_greedily(std::span<const int32_t>, int64_t, std::span<const int32_t>) {
  refuse();
}
int64_t Engine::layers() const {
  refuse();
}
int64_t Engine::heads() const {
  refuse();
}
int64_t Engine::width() const {
  refuse();
}
int64_t Engine::vocabulary() const {
  refuse();
}
int64_t Engine::context() const {
  refuse();
}
int Engine::threads() const {
  refuse();
}
bool Engine::on_gpu() const {
  refuse();
}
Engine::ContextPointer Engine::make_context(int64_t, int64_t, int64_t) const {
  refuse();
}
const llama_model* Engine::model() const {
  refuse();
}
const llama_vocab* Engine::vocab() const {
  refuse();
}

Hyperparameters read_hyperparameters(const TensorSource&) {
  refuse();
}

}  // namespace gyro
