#pragma once

#include <string_view>

#include "gyro/infer/vocabulary.h"

namespace gyro {

/// What the bytes of a tokenizer.model say, SentencePiece's ModelProto: pieces with scores and types, special ids, and
/// whether text gets a space before it. Throws Error naming `subject`: not such a file, truncated, a model that is not
/// BPE with byte fallback, or text that is normalised by more than marking spaces.
Vocabulary parse_tokenizer_model(std::string_view subject, std::string_view bytes);

}  // namespace gyro
