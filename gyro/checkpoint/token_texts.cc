#include "gyro/checkpoint/token_texts.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

#include "gyro/base/utf8.h"
#include "gyro/checkpoint/tokenizer_file.h"

namespace gyro {
namespace {

using Json = JsonFields::Json;

// GPT-2's alphabet: a printing character of Latin-1 stands for its own byte, and the characters from U+0100 on for the
// others in their order. By code point the byte; -1 of what is in no such token.
std::array<int, 0x144> byte_alphabet() {
  std::array<int, 0x144> bytes{};
  bytes.fill(-1);
  size_t next = 0x100;
  for (int byte = 0; byte < 0x100; ++byte) {
    const bool prints = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte != 0xad);
    bytes[prints ? static_cast<size_t>(byte) : next++] = byte;
  }
  return bytes;
}

// Nothing where a character is none of the alphabet.
std::optional<std::string> bytes_of_characters(std::string_view token) {
  static const std::array<int, 0x144> kBytes = byte_alphabet();
  std::string out;
  for (size_t at = 0; at < token.size();) {
    const auto lead = static_cast<unsigned char>(token[at]);
    size_t code = lead, length = 1;
    if (lead >= 0x80) {
      if ((lead & 0xe0) != 0xc0 || at + 1 >= token.size()) return std::nullopt;
      code = static_cast<size_t>(lead & 0x1f) << 6 | (static_cast<unsigned char>(token[at + 1]) & 0x3f);
      length = 2;
    }
    if (code >= kBytes.size() || kBytes[code] < 0) return std::nullopt;
    out += static_cast<char>(kBytes[code]);
    at += length;
  }
  return out;
}

std::string pieces_text(std::string_view token) {
  if (is_byte_token(token)) {
    const int byte = std::stoi(std::string(token.substr(3, 2)), nullptr, 16);
    return std::string(1, static_cast<char>(byte));
  }
  std::string out;
  for (size_t at = 0; at < token.size();) {
    const bool space = token.substr(at).starts_with(kSpaceMark);
    out += space ? ' ' : token[at];
    at += space ? kSpaceMark.size() : 1;
  }
  return out;
}

// Whether a step of that type is among a decoder's, a pre-tokenizer's or a normalizer's.
bool has_step(const Json& step, std::string_view type) {
  if (!step.is_object()) return false;
  const auto own = step.find("type");
  if (own != step.end() && own->is_string() && own->get_ref<const std::string&>() == type) return true;
  return std::any_of(step.begin(), step.end(), [&](const Json& member) {
    return member.is_array() &&
           std::any_of(member.begin(), member.end(), [&](const Json& inner) { return has_step(inner, type); });
  });
}

TokenWriting writing_of(const Json& file, const JsonFields& model) {
  const auto has = [&](const char* part, const char* type) {
    const auto step = file.find(part);
    return step != file.end() && has_step(*step, type);
  };
  if (has("decoder", "ByteLevel") || has("pre_tokenizer", "ByteLevel")) return TokenWriting::ByteLevel;
  return model.optional_string("type") == "WordPiece" ? TokenWriting::Plain : TokenWriting::SentencePiece;
}

std::map<int64_t, std::string> texts_of(const std::string& subject, const std::string& text,
                                        const std::set<int64_t>& ids) {
  const Json json = parse_json(subject, text);
  const JsonFields file(subject, "", json);
  const std::optional<JsonFields> model = file.object("model");
  if (!model) fail(subject, "model is missing");
  const TokenWriting writing = writing_of(json, *model);
  std::map<int64_t, std::string> texts;
  visit_vocab(*model, [&](const std::string& token, int32_t id) {
    if (ids.contains(id)) texts[id] = readable_token(token, writing);
  });
  for (const AddedTokenField& added : added_token_fields(file)) {
    if (ids.contains(added.id)) texts[added.id] = added.content;
  }
  return texts;
}

}  // namespace

std::string readable_token(std::string_view token, TokenWriting writing) {
  std::string text(token);
  if (writing == TokenWriting::ByteLevel) text = bytes_of_characters(token).value_or(text);
  if (writing == TokenWriting::SentencePiece) text = pieces_text(token);
  if (is_utf8(text)) return text;
  std::string bytes;
  for (const char c : text) bytes += fmt::format("\\x{:02X}", static_cast<unsigned char>(c));
  return bytes;
}

std::map<int64_t, std::string> token_texts(const TensorSource& model, const std::set<int64_t>& ids) {
  constexpr const char* kName = "tokenizer.json";
  try {
    const std::vector<std::string> names = model.companions();
    if (ids.empty() || std::find(names.begin(), names.end(), kName) == names.end()) return {};
    return texts_of((model.path() / kName).string(), model.companion(kName, kTokenizerLimit), ids);
  } catch (const Error&) {
    return {};  // a comparison of weights needs no words
  }
}

}  // namespace gyro
