#pragma once

// Makes small checkpoints for tests; no product code includes this.

#include <string>
#include <utility>
#include <vector>

#include "gyro/base/test_util.h"
#include "gyro/checkpoint/safetensors.h"

namespace gyro {

/// A tensor that owns its bytes: zeros unless they are given.
struct TestTensor {
  std::string name;
  DType dtype = DType::F32;
  std::vector<int64_t> shape;
  std::vector<std::byte> bytes = {};
};

/// The bytes of `values`, as a tensor stores them.
template <typename T>
std::vector<std::byte> bytes_of(const std::vector<T>& values) {
  const auto bytes = std::as_bytes(std::span(values));
  return {bytes.begin(), bytes.end()};
}

inline void write_tensors(const std::filesystem::path& path, std::vector<TestTensor> tensors) {
  std::vector<TensorToWrite> out;
  for (TestTensor& tensor : tensors) {
    size_t size = dtype_size(tensor.dtype);
    for (const int64_t extent : tensor.shape) size *= static_cast<size_t>(extent);
    if (tensor.bytes.empty()) tensor.bytes.resize(size);
    out.push_back({tensor.name, tensor.dtype, tensor.shape, tensor.bytes});
  }
  write_safetensors(path, out, {{"format", "pt"}});
}

}  // namespace gyro
