#include "gyro/infer/gguf_trial.h"

#include <fmt/format.h>
#include <ggml.h>
#include <llama.h>

#include <cstdlib>
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
constexpr uint32_t kLongestWindow = 1 << 26;  // of which llama.cpp has a list

std::string meta_value(const llama_model* model, int32_t i, decltype(&llama_model_meta_val_str_by_index) get) {
  char text[256] = {};
  get(model, i, text, sizeof text);
  return text;
}

// What would only be noticed, by an abort, when it is computed with.
std::string wrong_number(const llama_model* model) {
  const auto window = static_cast<uint32_t>(llama_model_n_swa(model));
  if (window > kLongestWindow) return fmt::format("a window of {} positions", window);
  for (int32_t i = 0; i < llama_model_meta_count(model); ++i) {
    const std::string key = meta_value(model, i, llama_model_meta_key_by_index);
    if (!key.ends_with("epsilon")) continue;
    const std::string value = meta_value(model, i, llama_model_meta_val_str_by_index);
    if (!(std::strtod(value.c_str(), nullptr) >= 0)) return fmt::format("{} is {}", printable(key), printable(value));
  }
  return {};
}

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
  if (std::string wrong = wrong_number(model.get()); !wrong.empty()) return wrong;
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
