#pragma once

#include <llama.h>

#include <cstdint>
#include <span>

namespace gyro {

/// Tokens that llama.cpp computes at once, up to `size` of them.
struct Batch {
  explicit Batch(int64_t size);
  Batch(const Batch&) = delete;
  Batch& operator=(const Batch&) = delete;
  ~Batch();

  void clear() { batch.n_tokens = 0; }
  /// `output`: whether what follows the token is wanted.
  void add(int32_t token, int64_t position, int64_t sequence, bool output);

  llama_batch batch;
};

/// Throws Error `prompt` for no ids, and for one that is none of the vocabulary's.
void check_ids(std::span<const int32_t> ids, int64_t vocabulary);

}  // namespace gyro
