#include <cmath>

#include "gyro/open/adapter_config.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  gyro::expect_result_or_one_line([&] {
    const gyro::LoraConfig config = gyro::parse_lora_config("fuzz", gyro::as_text(data, size));
    for (const char* module : {"model.layers.10.self_attn.q_proj", "lm_head", ""}) {
      const gyro::LoraConfig::Share share = config.share_of(module);
      if (share.rank < 1 || std::isnan(share.scaling)) std::abort();
    }
  });
  return 0;
}
