#pragma once

// Makes small models for tests; no product code includes this.

#include <fmt/format.h>

#include <bit>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "gyro/base/random.h"
#include "gyro/checkpoint/test_util.h"
#include "gyro/spectra/test_util.h"

namespace gyro {

/// Nearest-even BF16 of values in its range.
inline std::vector<uint16_t> bf16_of(const std::vector<float>& values) {
  std::vector<uint16_t> out;
  for (const float value : values) {
    const auto bits = std::bit_cast<uint32_t>(value);
    out.push_back(static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16));
  }
  return out;
}

/// Writes a Llama checkpoint of F32 or BF16 matrices. `make(layer, name, d_in, d_out)` gives the paper's W of "q_proj",
/// ...
struct TinyModel {
  int64_t hidden = 32, intermediate = 48, layers = 2, heads = 4, kv_heads = 2;
  DType dtype = DType::F32;
  using Make = std::function<Matrix(int64_t layer, const std::string& name, int64_t d_in, int64_t d_out)>;

  void write(const std::filesystem::path& folder, const Make& make) const {
    std::filesystem::create_directories(folder);
    write_text(folder / "config.json",
               fmt::format(R"({{"model_type":"llama","hidden_size":{},"intermediate_size":{},"num_hidden_layers":{},)"
                           R"("num_attention_heads":{},"num_key_value_heads":{}}})",
                           hidden, intermediate, layers, heads, kv_heads));
    const int64_t kv = hidden / heads * kv_heads;
    std::vector<TestTensor> tensors;
    for (int64_t layer = 0; layer < layers; ++layer) {
      const auto add = [&](const char* block, const char* name, int64_t d_in, int64_t d_out) {
        const Matrix w = make(layer, name, d_in, d_out);
        const std::vector<float> stored(w.data(), w.data() + d_in * d_out);
        tensors.push_back({fmt::format("model.layers.{}.{}.{}.weight", layer, block, name),
                           dtype,
                           {d_out, d_in},
                           dtype == DType::F32 ? bytes_of(stored) : bytes_of(bf16_of(stored))});
      };
      add("self_attn", "q_proj", hidden, hidden);
      add("self_attn", "k_proj", hidden, kv);
      add("self_attn", "v_proj", hidden, kv);
      add("self_attn", "o_proj", hidden, hidden);
      add("mlp", "gate_proj", hidden, intermediate);
      add("mlp", "up_proj", hidden, intermediate);
      add("mlp", "down_proj", intermediate, hidden);
    }
    write_tensors(folder / "model.safetensors", std::move(tensors));
  }
};

/// Gaussian matrices that differ by layer, name and seed.
inline Matrix gaussian_for(int64_t layer, const std::string& name, int64_t d_in, int64_t d_out, uint64_t seed) {
  uint64_t key = mix64(seed ^ mix64(static_cast<uint64_t>(layer)));
  for (const char c : name) key = mix64(key ^ static_cast<uint64_t>(c));
  return gaussian(d_in, d_out, key);
}

}  // namespace gyro
