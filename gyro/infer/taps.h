#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "gyro/infer/engine.h"

struct ggml_tensor;

namespace gyro {

/// Reads taps while llama.cpp computes a piece of a prompt: `on_node` is its evaluation callback.
struct TapReader {
  const TapRequest* request = nullptr;  ///< null: nothing is read
  Taps taps;
  int64_t layers = 0, heads = 0, width = 0, positions = 0;
  int64_t begin = 0, end = 0;        ///< of the piece
  std::vector<int64_t> output_rows;  ///< positions of the piece whose logits were asked for, which the last block keeps

  /// Makes room for what `wanted` asks of a prompt of that many positions.
  void start(const TapRequest& wanted, int64_t prompt);
  /// ggml_backend_sched_eval_callback: with `ask` whether the node is wanted, then with its values there.
  static bool on_node(ggml_tensor* node, bool ask, void* reader);

 private:
  std::optional<size_t> place_of(int64_t layer) const;
  void read_attention(ggml_tensor* node, size_t place);
  void read_hidden(ggml_tensor* node, int64_t layer);
};

}  // namespace gyro
