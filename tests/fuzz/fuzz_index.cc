#include "gyro/checkpoint/checkpoint.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  gyro::expect_result_or_one_line([&] {
    for (const auto& [tensor, shard] : gyro::parse_index("fuzz", gyro::as_text(data, size))) {
      if (shard.empty() || shard == ".." || shard.find('/') != shard.npos) std::abort();
    }
  });
  return 0;
}
