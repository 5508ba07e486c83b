#include "gyro/infer/llama_log.h"

#include <llama.h>

#include <mutex>

#include "gyro/base/error.h"

namespace gyro {
namespace {

std::string& last_problem() {
  thread_local std::string problem;
  return problem;
}

void keep_problem(ggml_log_level level, const char* text, void*) {
  if (level != GGML_LOG_LEVEL_ERROR) return;
  std::string line = text;
  while (!line.empty() && line.back() == '\n') line.pop_back();
  // "llama_model_load: error loading model: missing tensor 'x'": what comes last says what it is.
  const size_t at = line.rfind("error loading model: ");
  if (at != std::string::npos) line.erase(0, at + 21);
  const bool follows = line.find("failed to load model") != std::string::npos && !last_problem().empty();
  if (!line.empty() && !follows) last_problem() = line;
}

}  // namespace

void start_llama() {
  static std::once_flag once;
  std::call_once(once, [] {
    llama_log_set(keep_problem, nullptr);
    llama_backend_init();
  });
  last_problem().clear();
}

std::string llama_problem() {
  return printable(last_problem());
}

}  // namespace gyro
