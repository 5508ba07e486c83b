#include "gyro/infer/library.h"

#include <fmt/format.h>
#include <ggml-backend.h>
#include <llama.h>

#include "gyro/infer/gguf_trial.h"

namespace gyro {
namespace {

void (*reporter)(const std::string& reason) = nullptr;

void tell_reporter(const char* message) {
  reporter(abort_reason(message));
}

}  // namespace

bool can_infer() {
  return true;
}

std::string infer_library() {
  std::string text = fmt::format("llama.cpp, ggml {}", ggml_version());
  for (size_t i = 0; i < ggml_backend_reg_count(); ++i) {
    text += fmt::format("{} {}", i == 0 ? ":" : ",", ggml_backend_reg_name(ggml_backend_reg_get(i)));
  }
  return text;
}

void report_aborts(void (*report)(const std::string& reason)) {
  reporter = report;
  ggml_set_abort_callback(tell_reporter);
}

}  // namespace gyro
