#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "gyro/infer/vocabulary.h"

struct llama_vocab;

namespace gyro {

/// Whether `tokenize` puts the beginning-of-text token before text, and the end-of-text token behind it, where the
/// model's tokenizer does: yes for plain text, no for a rendered chat template, which has them.
enum class SpecialTokens { AsConfigured, None };

/// Bytes of the longest text that is tokenised.
constexpr size_t kMostTextBytes = size_t{1} << 28;

/// The tokens of UTF-8 text, as transformers' fast tokenizers give them: added tokens in the text become those tokens,
/// what is between them is normalised and split by llama.cpp. `vocabulary` is what `vocab` was made from, or null for a
/// GGUF file's own, where llama.cpp does all. Throws Error for text that is not UTF-8, has more than kMostTextBytes, or
/// (byte-level BPE) a million characters in a row without white space, or of nothing else; of a GGUF file, in a line.
std::vector<int32_t> tokenize(const llama_vocab* vocab, const Vocabulary* vocabulary, std::string_view text,
                              SpecialTokens special);

/// Whether control tokens add their own text to a text, or nothing.
enum class ControlTokens { Hidden, Shown };

/// The bytes that a token adds to a text; they may be part of a character.
std::string piece(const llama_vocab* vocab, int32_t token, ControlTokens controls);

}  // namespace gyro
