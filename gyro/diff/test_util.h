#pragma once

// Makes small matrices and models for tests of this room; no product code includes this.

#include <fmt/format.h>

#include <cmath>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "gyro/base/random.h"
#include "gyro/checkpoint/test_util.h"
#include "gyro/diff/pair.h"
#include "gyro/linalg/test_util.h"
#include "gyro/tensor/matrix.h"
#include "gyro/tensor/weight.h"

namespace gyro {

/// A B by definition.
inline Matrix times(ConstMatrixView a, ConstMatrixView b) {
  Matrix c = Matrix::zeros(a.rows, b.cols, Space::Host);
  for (int64_t j = 0; j < b.cols; ++j) {
    for (int64_t l = 0; l < a.cols; ++l) {
      for (int64_t i = 0; i < a.rows; ++i) c(i, j) += a(i, l) * b(l, j);
    }
  }
  return c;
}

inline Matrix transposed(ConstMatrixView a) {
  Matrix t(a.cols, a.rows, Space::Host);
  for (int64_t j = 0; j < a.cols; ++j) {
    for (int64_t i = 0; i < a.rows; ++i) t(j, i) = a(i, j);
  }
  return t;
}

/// a A + b B
inline Matrix combined(double a, ConstMatrixView x, double b, ConstMatrixView y) {
  Matrix out(x.rows, x.cols, Space::Host);
  for (int64_t j = 0; j < x.cols; ++j) {
    for (int64_t i = 0; i < x.rows; ++i) out(i, j) = a * x(i, j) + b * y(i, j);
  }
  return out;
}

/// An orthogonal n x n matrix that turns by about `angle`: I + angle·K made orthonormal, K antisymmetric.
inline Matrix small_rotation(int64_t n, double angle, uint64_t seed) {
  const Matrix g = gaussian(n, n, seed);
  const double factor = angle / std::sqrt(static_cast<double>(n));
  Matrix q(n, n, Space::Host);
  for (int64_t j = 0; j < n; ++j) {
    for (int64_t i = 0; i < n; ++i) q(i, j) = (i == j ? 1 : 0) + factor * (g(i, j) - g(j, i));
  }
  return orthonormalised(std::move(q));
}

/// The stored form of the paper's W, d_in x d_out. Shares the elements.
inline Weight weight_of(const Matrix& w, const char* name = "some.weight") {
  Weight weight;
  weight.name = name;
  weight.dtype = DType::F64;
  weight.data = reinterpret_cast<const std::byte*>(w.data());
  weight.rows = w.cols();
  weight.cols = w.rows();
  return weight;
}

inline PairMeasure compare(const Matrix& base, const Matrix& post, const PairOptions& options = {}) {
  return BaseMatrix(weight_of(base, "base.weight")).compare(weight_of(post, "post.weight"), options);
}

inline bool has_flag(const PairMeasure& m, const std::string& flag) {
  return std::find(m.flags.begin(), m.flags.end(), flag) != m.flags.end();
}

/// Writes a Llama checkpoint of F32 matrices. `make(layer, name, d_in, d_out)` gives the paper's W of "q_proj", ...
struct TinyModel {
  int64_t hidden = 32, intermediate = 48, layers = 2, heads = 4, kv_heads = 2;
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
                           DType::F32,
                           {d_out, d_in},
                           bytes_of(stored)});
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
