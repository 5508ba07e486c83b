#include "gyro/checkpoint/safetensors.h"
#include "tests/fuzz/fuzz.h"

// A header that is accepted describes tensors that lie inside the file and have the size of their shape.
static void check(const gyro::SafetensorsHeader& header, uint64_t file_size) {
  uint64_t bytes = 0;
  for (const auto& [name, info] : header.tensors) {
    uint64_t size = gyro::dtype_size(info.dtype);
    for (const int64_t extent : info.shape) size *= static_cast<uint64_t>(extent);
    if (info.end - info.begin != size || info.end > file_size - header.data_begin) std::abort();
    bytes += size;
  }
  if (header.data_begin + bytes != file_size) std::abort();
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  gyro::expect_result_or_one_line([&] {
    const auto file = std::as_bytes(std::span(data, size));
    check(gyro::parse_safetensors_header("fuzz", file, size), size);
  });
  return 0;
}
