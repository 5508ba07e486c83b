#include "gyro/infer/gguf_trial.h"

#include <ggml.h>
#include <llama.h>

#include <memory>
#include <string>

#include "gyro/base/apart.h"
#include "gyro/base/error.h"
#include "gyro/base/limits.h"
#include "gyro/infer/llama_log.h"

namespace gyro {
namespace {

constexpr std::chrono::seconds kTime{60};
constexpr uint32_t kPositions = 512;

// In a child process. Says what went wrong, or nothing.
std::string load_and_prepare(const std::filesystem::path& gguf) {
  ggml_set_abort_callback(say_last_words);
  start_llama();
  llama_model_params of_model = llama_model_default_params();
  static ggml_backend_dev_t none[] = {nullptr};
  of_model.devices = none;
  of_model.n_gpu_layers = 0;
  of_model.load_mode = LLAMA_LOAD_MODE_NONE;
  of_model.no_alloc = true;
  const auto because = [] { return llama_problem().empty() ? "it does not say why" : llama_problem(); };
  const std::unique_ptr<llama_model, decltype(&llama_model_free)> model(
      llama_model_load_from_file(gguf.c_str(), of_model), llama_model_free);
  if (!model) return because();
  llama_context_params of_context = llama_context_default_params();
  of_context.n_ctx = of_context.n_batch = of_context.n_ubatch = kPositions;
  of_context.n_threads = of_context.n_threads_batch = 1;
  of_context.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_DISABLED;
  const std::unique_ptr<llama_context, decltype(&llama_free)> context(llama_init_from_model(model.get(), of_context),
                                                                      llama_free);
  return context ? std::string() : because();
}

}  // namespace

void try_gguf(const std::filesystem::path& gguf) {
  ApartLimits limits;
  limits.time = kTime;
  limits.memory = process_limits().available;
  const Apart found = run_apart([&] { return load_and_prepare(gguf); }, limits);
  const std::string subject = gguf.string();
  switch (found.end) {
    case Apart::End::Done:
      if (!found.text.empty()) fail(subject, "llama.cpp does not load it: {}", printable(found.text));
      return;
    case Apart::End::Aborted:
      fail(subject, "llama.cpp gives up on it: {}", abort_reason(found.text));
    case Apart::End::Threw:
      fail(subject, "llama.cpp does not load it: {}", printable(found.text));
    case Apart::End::Memory:
      fail(ErrorKind::Memory, "memory", "not enough for what {} says of itself", subject);
    default:
      fail(subject, "is malformed: llama.cpp {} over it", found.end == Apart::End::Late ? "takes for ever" : "crashes");
  }
}

std::string abort_reason(std::string_view message) {
  // "FILE:LINE: what"
  const size_t place = message.find(": ");
  if (place != message.npos) message.remove_prefix(place + 2);
  return printable(message);
}

}  // namespace gyro
