#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "gyro/checkpoint/json_fields.h"
#include "gyro/infer/vocabulary.h"

namespace gyro {

/// What a tokenizer.json's `pre_tokenizer` does to text before it is looked up.
struct PreTokenizer {
  std::string steps;  ///< its steps in order, in one canonical line (empty: text is not split); see pre_tokenizer.cc
  bool byte_level = false;
  SpacePrefix space_prefix = SpacePrefix::None;
};

/// Reads `pre_tokenizer` of `file`, the fields of a tokenizer.json. Throws Error naming what is malformed, or a step
/// that cannot be told apart.
PreTokenizer read_pre_tokenizer(const JsonFields& file);

/// llama.cpp's name for a byte-level pre-tokenizer of those steps, or nothing if it has none. `ignore_merges` is
/// model.ignore_merges: a word that is a token becomes it whatever the merges say.
std::optional<std::string> pre_tokenizer_name(std::string_view steps, bool ignore_merges);

/// Whether llama.cpp has a byte-level pre-tokenizer of that name.
bool knows_pre_tokenizer(std::string_view name);

}  // namespace gyro
