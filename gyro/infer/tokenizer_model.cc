// The fields of sentencepiece_model.proto that matter here:
//   ModelProto      1 pieces (repeated SentencePiece), 2 trainer_spec, 3 normalizer_spec
//   SentencePiece   1 piece (string), 2 score (float), 3 type (enum; GGUF's token types are these)
//   TrainerSpec     3 model_type (1 unigram, 2 BPE, ...), 24 treat_whitespace_as_suffix, 35 byte_fallback,
//                   40 unk_id, 41 bos_id, 42 eos_id, 43 pad_id (-1: none)
//   NormalizerSpec  2 precompiled_charsmap, 3 add_dummy_prefix, 4 remove_extra_whitespaces, 5 escape_whitespaces
#include "gyro/infer/tokenizer_model.h"

#include <bit>
#include <cstring>
#include <unordered_set>

#include "gyro/base/error.h"
#include "gyro/checkpoint/tokenizer_file.h"

namespace gyro {
namespace {

// One field of a message: a number (its bits, for fixed sizes), or bytes.
struct Field {
  uint64_t number = 0;  // which field it is
  uint64_t value = 0;
  std::string_view bytes;
  enum class Wire { Varint = 0, Fixed64 = 1, Bytes = 2, Fixed32 = 5 } wire = Wire::Varint;
};

// Goes through the fields of a message, as protobuf's wire format has them.
class Message {
 public:
  Message(std::string_view subject, std::string_view bytes) : subject_(subject), rest_(bytes) {}

  bool next(Field& field) {
    if (rest_.empty()) return false;
    const uint64_t tag = varint();
    field = {};
    field.number = tag >> 3;
    switch (tag & 7) {
      case 0:
        field.wire = Field::Wire::Varint;
        field.value = varint();
        break;
      case 1:
        field.wire = Field::Wire::Fixed64;
        field.value = fixed<uint64_t>();
        break;
      case 2:
        field.wire = Field::Wire::Bytes;
        field.bytes = take(varint());
        break;
      case 5:
        field.wire = Field::Wire::Fixed32;
        field.value = fixed<uint32_t>();
        break;
      default:
        broken();
    }
    if (field.number == 0) broken();
    return true;
  }

 private:
  [[noreturn]] void broken() const { fail(std::string(subject_), "is no SentencePiece model, or is cut off"); }

  std::string_view take(uint64_t count) {
    if (count > rest_.size()) broken();
    const std::string_view out = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return out;
  }
  template <typename T>
  T fixed() {
    static_assert(std::endian::native == std::endian::little);
    T value = 0;
    std::memcpy(&value, take(sizeof value).data(), sizeof value);
    return value;
  }
  uint64_t varint() {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      const auto byte = static_cast<unsigned char>(take(1).front());
      value |= static_cast<uint64_t>(byte & 0x7F) << shift;
      if (byte < 0x80) return value;
    }
    broken();
  }

  std::string_view subject_, rest_;
};

struct Trainer {
  uint64_t model_type = 1;
  bool byte_fallback = false, space_as_suffix = false;
  int64_t unk = 0, bos = 1, eos = 2, pad = -1;
};
struct Normalizer {
  bool charsmap = false, dummy_prefix = true, removes_spaces = true, escapes_spaces = true;
};

Trainer read_trainer(Message message) {
  Trainer out;
  for (Field field; message.next(field);) {
    const int64_t id = static_cast<int32_t>(field.value);  // an int32: 64 bits wide where negative
    if (field.number == 3) out.model_type = field.value;
    if (field.number == 24) out.space_as_suffix = field.value != 0;
    if (field.number == 35) out.byte_fallback = field.value != 0;
    if (field.number == 40) out.unk = id;
    if (field.number == 41) out.bos = id;
    if (field.number == 42) out.eos = id;
    if (field.number == 43) out.pad = id;
  }
  return out;
}

Normalizer read_normalizer(Message message) {
  Normalizer out;
  for (Field field; message.next(field);) {
    if (field.number == 2) out.charsmap = !field.bytes.empty();
    if (field.number == 3) out.dummy_prefix = field.value != 0;
    if (field.number == 4) out.removes_spaces = field.value != 0;
    if (field.number == 5) out.escapes_spaces = field.value != 0;
  }
  return out;
}

void read_piece(std::string_view subject, Message message, Vocabulary& out) {
  std::string token;
  float score = 0;
  uint64_t type = 1;
  for (Field field; message.next(field);) {
    if (field.number == 1) token = field.bytes;
    if (field.number == 2) score = std::bit_cast<float>(static_cast<uint32_t>(field.value));
    if (field.number == 3) type = field.value;
  }
  const size_t id = out.tokens.size();
  if (id == kMostTokens) fail(std::string(subject), "has more than {} pieces", kMostTokens);
  if (type < 1 || type > 6) fail(std::string(subject), "piece {} is of the unknown type {}", id, type);
  if (token.empty() || token.find('\0') != token.npos)
    fail(std::string(subject), "piece {} is empty or has a zero byte", id);
  if (!(score == score)) fail(std::string(subject), "piece {} has a score that is not a number", id);
  out.tokens.push_back(std::move(token));
  out.scores.push_back(score);
  out.types.push_back(static_cast<TokenType>(type));
  // Pieces that a user defined are found by llama.cpp within text: none of them begins a new one.
  if (out.types.back() == TokenType::Control || out.types.back() == TokenType::Unknown) {
    out.added.push_back({static_cast<int32_t>(id), false, false, true});
  }
}

std::optional<int32_t> id_within(int64_t id, const Vocabulary& vocabulary) {
  if (id < 0 || id >= static_cast<int64_t>(vocabulary.tokens.size())) return std::nullopt;
  return static_cast<int32_t>(id);
}

void check(const std::string& subject, const Trainer& trainer, const Normalizer& normalizer, const Vocabulary& out) {
  if (out.tokens.empty()) fail(subject, "is no SentencePiece model: it has no pieces");
  if (trainer.model_type != 2) {
    fail(subject, "is a {} model: Gyro runs BPE", trainer.model_type == 1 ? "unigram" : "word or character");
  }
  if (normalizer.charsmap || normalizer.removes_spaces || !normalizer.escapes_spaces || trainer.space_as_suffix) {
    fail(subject, "changes text in ways that Gyro does not run (characters mapped, or spaces removed)");
  }
  std::unordered_set<std::string_view> seen;
  for (const std::string& token : out.tokens) {
    if (!seen.insert(token).second) fail(subject, "has the piece \"{}\" twice", printable(token));
  }
  for (int byte = 0; byte < 256; ++byte) {
    const std::string token = fmt::format("<0x{:02X}>", byte);
    if (!seen.contains(token)) fail(subject, "lacks the piece {}: Gyro runs models with byte fallback", token);
  }
}

}  // namespace

Vocabulary parse_tokenizer_model(std::string_view subject, std::string_view bytes) {
  Vocabulary out;
  out.model = TokenModel::SentencePiece;
  Trainer trainer;
  Normalizer normalizer;
  Message message(subject, bytes);
  for (Field field; message.next(field);) {
    if (field.number > 3) continue;
    if (field.wire != Field::Wire::Bytes) fail(std::string(subject), "is no SentencePiece model, or is cut off");
    const Message part(subject, field.bytes);
    if (field.number == 1) read_piece(subject, part, out);
    if (field.number == 2) trainer = read_trainer(part);
    if (field.number == 3) normalizer = read_normalizer(part);
  }
  check(std::string(subject), trainer, normalizer, out);
  out.unk = id_within(trainer.unk, out);
  out.bos = id_within(trainer.bos, out);
  out.eos = id_within(trainer.eos, out);
  out.pad = id_within(trainer.pad, out);
  out.space_prefix = normalizer.dummy_prefix ? SpacePrefix::Always : SpacePrefix::None;
  out.add_bos = out.bos.has_value();  // as LlamaTokenizer and GemmaTokenizer do, unless tokenizer_config.json says else
  return out;
}

}  // namespace gyro
