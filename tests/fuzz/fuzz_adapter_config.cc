#include <cmath>

#include "gyro/open/adapter_config.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  gyro::expect_result_or_one_line([&] {
    const gyro::LoraConfig config = gyro::parse_lora_config("fuzz", gyro::as_text(data, size));
    for (const char* module : {"model.layers.10.self_attn.q_proj", "lm_head", ""}) {
      if (config.rank_of(module) < 1) std::abort();
      if (std::isnan(config.scaling_of(module))) std::abort();
    }
  });
  return 0;
}
