#include "gyro/infer/generate.h"

#include "gyro/base/error.h"
#include "gyro/infer/library.h"

namespace gyro {

Generations generate(const Engine&, std::span<const GeneratePrompt>, std::span<const int32_t>, const GenerateOptions&,
                     const TokenSink&) {
  fail("engine", "{}", infer_library());
}

}  // namespace gyro
