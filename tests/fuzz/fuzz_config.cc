#include "gyro/checkpoint/config.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  gyro::expect_result_or_one_line([&] {
    const gyro::ModelConfig config = gyro::parse_config("fuzz", gyro::as_text(data, size));
    if (config.hidden_size < 0 || config.num_hidden_layers > 100'000 || config.head_dim < 0) std::abort();
  });
  return 0;
}
