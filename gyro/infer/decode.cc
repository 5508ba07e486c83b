#include "gyro/infer/decode.h"

#include "gyro/base/error.h"
#include "gyro/base/team.h"
#include "gyro/infer/llama_log.h"

namespace gyro {
namespace {

constexpr int32_t kAborted = 2;  // llama_decode's

// Asked between operations, on the thread that called llama_decode, from C: nothing may be thrown through it.
bool is_stopped(void*) {
  try {
    check_stop();
  } catch (...) {
    return true;
  }
  return false;
}

}  // namespace

void decode(llama_context* context, const llama_batch& batch) {
  check_stop();
  start_llama();
  const int32_t status = llama_decode(context, batch);
  if (status == 0) return;
  if (status == kAborted) throw Stopped{};
  fail(ErrorKind::Internal, "model", "llama.cpp cannot run it (status {}): {}", status, llama_problem());
}

void stop_with_run(llama_context* context) {
  llama_set_abort_callback(context, is_stopped, nullptr);
}

}  // namespace gyro
