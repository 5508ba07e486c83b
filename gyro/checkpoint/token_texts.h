#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>

#include "gyro/checkpoint/source.h"

namespace gyro {

/// The text of tokens by their ids, as the model's tokenizer.json has them; none of an id that it lacks, and of no id
/// where the file is missing, is larger than kTokenizerLimit, or cannot be read. Valid UTF-8 (readable_token).
std::map<int64_t, std::string> token_texts(const TensorSource& model, const std::set<int64_t>& ids);

/// How a token is written in a vocabulary: in GPT-2's alphabet of bytes, in SentencePiece's (▁ for a space, <0x0A> for
/// a byte), or as it is read.
enum class TokenWriting { ByteLevel, SentencePiece, Plain };

/// What a token of a vocabulary stands for. Bytes that are no UTF-8 by themselves, as parts of a character are none,
/// make all of the token be told by its bytes: "\xE2\x96".
std::string readable_token(std::string_view token, TokenWriting writing);

}  // namespace gyro
