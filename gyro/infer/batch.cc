#include "gyro/infer/batch.h"

#include "gyro/base/error.h"

namespace gyro {

Batch::Batch(int64_t size) : batch(llama_batch_init(static_cast<int32_t>(size), 0, 1)) {}

Batch::~Batch() {
  llama_batch_free(batch);
}

void Batch::add(int32_t token, int64_t position, int64_t sequence, bool output) {
  const int32_t i = batch.n_tokens++;
  batch.token[i] = token;
  batch.pos[i] = static_cast<llama_pos>(position);
  batch.n_seq_id[i] = 1;
  batch.seq_id[i][0] = static_cast<llama_seq_id>(sequence);
  batch.logits[i] = static_cast<int8_t>(output);
}

void check_ids(std::span<const int32_t> ids, int64_t vocabulary) {
  if (ids.empty()) fail("prompt", "has no tokens");
  for (const int32_t id : ids) {
    if (id < 0 || id >= vocabulary) fail("prompt", "token {} is none of the model's {}", id, vocabulary);
  }
}

}  // namespace gyro
