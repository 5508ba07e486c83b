#include "gyro/infer/library.h"

namespace gyro {

bool can_infer() {
  return false;
}

std::string infer_library() {
  return "this build has no llama.cpp: scripts/fetch-llama had not built it, or GYRO_INFER was off, when it was "
         "configured";
}

void report_aborts(void (*)(const std::string&)) {}

}  // namespace gyro
