#include "gyro/infer/generate.h"

#include "gyro/infer/no_llama/refuse.h"

namespace gyro {

Generations generate(const Engine&, std::span<const GeneratePrompt>, std::span<const int32_t>, const GenerateOptions&,
                     const TokenSink&, const TextSink&) {
  refuse();
}

}  // namespace gyro
