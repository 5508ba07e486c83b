#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "gyro/checkpoint/json_fields.h"

namespace gyro {

// What stands in a tokenizer.json, whoever reads it.

/// No tokenizer's file is larger: the largest that there are have some 40 MB.
inline constexpr size_t kTokenizerLimit = size_t{256} << 20;
/// Ids are below: some eight times the largest vocabularies there are.
inline constexpr size_t kMostTokens = 2'000'000;
/// What SentencePiece's pieces have in place of spaces.
inline constexpr std::string_view kSpaceMark = "▁";

/// Calls `visit(token, id)` for each token of `model`, a tokenizer.json's "model": `vocab` is an object of ids, or of a
/// model of the type Unigram a list of [token, score], whose places are the ids. Throws Error naming the field for what
/// is neither, or has an id from kMostTokens on.
void visit_vocab(const JsonFields& model, const std::function<void(const std::string& token, int32_t id)>& visit);

/// An element of a tokenizer.json's "added_tokens".
struct AddedTokenField {
  JsonFields fields;  ///< of the whole element
  int32_t id = 0;
  std::string content;
};
/// All of them, in the file's order; none where `file` has no such list. Throws Error naming the field.
std::vector<AddedTokenField> added_token_fields(const JsonFields& file);

/// Whether a piece stands for one byte: "<0x0A>".
bool is_byte_token(std::string_view token);

}  // namespace gyro
