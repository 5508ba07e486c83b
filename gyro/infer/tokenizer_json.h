#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "gyro/infer/vocabulary.h"

namespace gyro {

/// What the text of a tokenizer.json says: the model and its kind, tokens, types, scores or merges, added tokens, how
/// text is prepared, and which tokens encoding puts around it (`bos` and `eos` where it does; else they are not set).
/// Ids below the highest that no token has are unused tokens. `pre`, if given, is taken in place of what would be
/// recognised. Throws Error naming `subject`: not JSON, malformed or contradictory fields (named), a model that is not
/// BPE, steps that cannot be done here, a pre-tokenizer that is not known (the field is "pre").
Vocabulary parse_tokenizer_json(std::string_view subject, std::string_view text, const std::optional<std::string>& pre);

/// Throws the Error of a pre-tokenizer that was named for a tokenizer without one, `subject`.
[[noreturn]] void fail_not_pre(const std::string& subject);

/// Adds unused tokens until there are `count`. Their names are like no other token's.
void pad_tokens(Vocabulary& vocabulary, size_t count);

}  // namespace gyro
