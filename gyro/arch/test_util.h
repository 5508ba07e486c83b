#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "gyro/arch/arch.h"
#include "gyro/base/error.h"

namespace gyro {

/// The architectures whose layers are all dense.
inline constexpr const char* kDenseArchitectures[] = {"llama", "mistral", "qwen2",       "qwen3",
                                                      "gemma", "gemma2",  "gemma3_text", "phi3"};

/// The matrices of a layer: "W_Q 16x8, W_K 8x8, ".
inline std::string list(const ModelMap& map, int64_t layer) {
  std::string out;
  for (const MatrixSite& site : map.sites) {
    if (site.layer == layer) out += fmt::format("{} {}x{}, ", type_name(site.type), site.d_out, site.d_in);
  }
  return out;
}

/// 0, 1, 2, ... of that many elements.
inline std::vector<float> counting(int64_t rows, int64_t cols) {
  std::vector<float> out(static_cast<size_t>(rows * cols));
  for (size_t i = 0; i < out.size(); ++i) out[i] = static_cast<float>(i);
  return out;
}

/// Elements of a matrix, row by row.
inline std::vector<double> values_at(const TensorSource& checkpoint, const ModelMap& map, const MatrixKey& key) {
  const auto site = std::find_if(map.sites.begin(), map.sites.end(), [&](const auto& s) { return s.key() == key; });
  const Weight weight = load_weight(checkpoint, *site);
  std::vector<double> out(static_cast<size_t>(weight.rows * weight.cols));
  widen(weight, 0, weight.rows, 0, weight.cols, out.data(), weight.cols);
  return out;
}

}  // namespace gyro
