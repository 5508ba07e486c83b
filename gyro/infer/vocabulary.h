#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gyro/checkpoint/source.h"

struct gguf_context;

namespace gyro {

/// How text becomes pieces: byte-level BPE by ranked merges (GPT-2's, Llama 3's, Qwen's), or SentencePiece's BPE with
/// byte fallback (Llama 2's, Mistral's, Gemma's), which joins whatever two pieces make the piece of the highest score.
enum class TokenModel { ByteLevelBpe, SentencePiece };

/// What a token is for; the values are those of GGUF's tokenizer.ggml.token_type.
enum class TokenType : int32_t { Normal = 1, Unknown = 2, Control = 3, UserDefined = 4, Unused = 5, Byte = 6 };

/// Which pieces of text between added tokens get a space put before them: none; all; those that do not begin with one;
/// or of those only the one at the beginning of the text.
enum class SpacePrefix { None, Always, WhereMissing, First };

/// A token that is looked for in the text itself, before anything else is done to it.
struct AddedToken {
  int32_t id = 0;
  bool strips_left = false;   ///< takes the white space before it
  bool strips_right = false;  ///< and after it
  bool special = false;       ///< control, not text
};

/// A model's tokenizer, as it stands in tokenizer.json or tokenizer.model with tokenizer_config.json and
/// generation_config.json beside them.
struct Vocabulary {
  TokenModel model = TokenModel::ByteLevelBpe;
  std::string pre;                  ///< llama.cpp's name of the pre-tokenizer ("qwen2"); byte-level only
  std::vector<std::string> tokens;  ///< by id, all different, one for each row of the embedding
  std::vector<TokenType> types;     ///< as many
  std::vector<float> scores;        ///< as many, of SentencePiece; else empty
  std::vector<std::string> merges;  ///< byte-level: "left right", best first
  std::vector<AddedToken> added;    ///< by id
  std::optional<int32_t> bos, eos, pad, unk;
  std::vector<int32_t> ends;  ///< tokens that end a generation, ascending: generation_config.json's list, else `eos`
  bool add_bos = false;       ///< what encoding plain text puts before it
  bool add_eos = false;       ///< and behind
  SpacePrefix space_prefix = SpacePrefix::None;
  bool nfc = false;  ///< text is brought to Unicode's normal form C first

  /// The text of a special token, empty for none.
  std::string_view text_of(std::optional<int32_t> id) const {
    return id ? std::string_view(tokens[static_cast<size_t>(*id)]) : std::string_view();
  }
};

/// Reads the tokenizer of `source` from its companion files: tokenizer.json, or tokenizer.model where there is none,
/// and what tokenizer_config.json, generation_config.json and config.json add. Ids that no token
/// has, up to `embedding_rows` (0 or above), are filled with unused tokens. `pre`, if given, names the pre-tokenizer in
/// place of what is recognised. Throws Error naming the file: no tokenizer, one that is malformed or of a kind that
/// llama.cpp does not run, a pre-tokenizer that is not known (the field is "pre"), more tokens than the embedding has
/// rows.
Vocabulary read_vocabulary(const TensorSource& source, const std::optional<std::string>& pre, int64_t embedding_rows);

/// Sets GGUF's keys of the tokenizer (tokenizer.ggml.*). The space prefix is left to
/// `tokenize` (tokenize.h), so the key says none.
void set_keys(gguf_context* gguf, const Vocabulary& vocabulary);

}  // namespace gyro
