#include <gguf.h>

#include "gyro/infer/vocabulary.h"

namespace gyro {
namespace {

void set_strings(gguf_context* gguf, const char* key, const std::vector<std::string>& texts) {
  std::vector<const char*> pointers;
  pointers.reserve(texts.size());
  for (const std::string& text : texts) pointers.push_back(text.c_str());
  gguf_set_arr_str(gguf, key, pointers.data(), pointers.size());
}

void set_id(gguf_context* gguf, const char* key, const std::optional<int32_t>& id) {
  if (id) gguf_set_val_u32(gguf, key, static_cast<uint32_t>(*id));
}

}  // namespace

void set_keys(gguf_context* gguf, const Vocabulary& vocabulary) {
  const bool byte_level = vocabulary.model == TokenModel::ByteLevelBpe;
  gguf_set_val_str(gguf, "tokenizer.ggml.model", byte_level ? "gpt2" : "llama");
  gguf_set_val_str(gguf, "tokenizer.ggml.pre", byte_level ? vocabulary.pre.c_str() : "default");
  set_strings(gguf, "tokenizer.ggml.tokens", vocabulary.tokens);
  static_assert(sizeof(TokenType) == sizeof(int32_t));
  gguf_set_arr_data(gguf, "tokenizer.ggml.token_type", GGUF_TYPE_INT32, vocabulary.types.data(),
                    vocabulary.types.size());
  if (byte_level) {
    set_strings(gguf, "tokenizer.ggml.merges", vocabulary.merges);
  } else {
    gguf_set_arr_data(gguf, "tokenizer.ggml.scores", GGUF_TYPE_FLOAT32, vocabulary.scores.data(),
                      vocabulary.scores.size());
  }
  set_id(gguf, "tokenizer.ggml.bos_token_id", vocabulary.bos);
  set_id(gguf, "tokenizer.ggml.eos_token_id", vocabulary.eos);
  set_id(gguf, "tokenizer.ggml.padding_token_id", vocabulary.pad);
  set_id(gguf, "tokenizer.ggml.unknown_token_id", vocabulary.unk);
  gguf_set_val_bool(gguf, "tokenizer.ggml.add_bos_token", vocabulary.add_bos);
  gguf_set_val_bool(gguf, "tokenizer.ggml.add_eos_token", vocabulary.add_eos);
  gguf_set_val_bool(gguf, "tokenizer.ggml.add_space_prefix", false);
}

}  // namespace gyro
