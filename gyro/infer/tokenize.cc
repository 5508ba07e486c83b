#include "gyro/infer/tokenize.h"

#include <llama.h>
#include <utf8proc.h>

#include <algorithm>
#include <cstdlib>

#include "gyro/base/error.h"

namespace gyro {
namespace {

constexpr size_t kTextLimit = size_t{1} << 28;
constexpr std::string_view kSubject = "text";

void check_text(std::string_view text) {
  if (text.size() > kTextLimit) fail(std::string(kSubject), "has more than {} bytes", kTextLimit);
  size_t at = 0;
  while (at < text.size()) {
    utf8proc_int32_t code_point = 0;
    const auto* bytes = reinterpret_cast<const utf8proc_uint8_t*>(text.data() + at);
    const utf8proc_ssize_t used = utf8proc_iterate(bytes, static_cast<utf8proc_ssize_t>(text.size() - at), &code_point);
    if (used <= 0) fail(std::string(kSubject), "is not UTF-8 at byte {}", at);
    at += static_cast<size_t>(used);
  }
}

// In Unicode's normal form C: letters with their marks as one character where there is one.
std::string normal_form(std::string_view text) {
  utf8proc_uint8_t* out = nullptr;
  const auto options = static_cast<utf8proc_option_t>(UTF8PROC_COMPOSE | UTF8PROC_STABLE);
  const utf8proc_ssize_t size = utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                                             static_cast<utf8proc_ssize_t>(text.size()), &out, options);
  if (size < 0) fail(std::string(kSubject), "cannot be brought to normal form C");
  std::string normal(reinterpret_cast<const char*>(out), static_cast<size_t>(size));
  std::free(out);
  return normal;
}

// llama.cpp's tokens of text. With `whole` it looks for special tokens in it itself, and adds those that the file says.
void append_tokens(std::vector<int32_t>& out, const llama_vocab* vocab, std::string_view text, bool add, bool whole) {
  const auto size = static_cast<int32_t>(text.size());
  const size_t begin = out.size();
  out.resize(begin + text.size() + 4);
  const auto room = static_cast<int32_t>(out.size() - begin);
  const int32_t count = llama_tokenize(vocab, text.data(), size, out.data() + begin, room, add, whole);
  if (count < 0) fail(std::string(kSubject), "has more tokens than bytes");
  out.resize(begin + static_cast<size_t>(count));
}

// Finds added tokens in text: the leftmost one, and of those that begin there the longest.
class AddedTokens {
 public:
  explicit AddedTokens(const Vocabulary& vocabulary) : vocabulary_(vocabulary) {
    for (const AddedToken& token : vocabulary.added) by_byte_[first_byte(text_of(token))].push_back(&token);
    for (auto& tokens : by_byte_) {
      std::ranges::stable_sort(tokens, std::ranges::greater(),
                               [&](const AddedToken* token) { return text_of(*token).size(); });
    }
  }

  std::string_view text_of(const AddedToken& token) const { return vocabulary_.text_of(token.id); }

  const AddedToken* find(std::string_view text, size_t& at) const {
    for (; at < text.size(); ++at) {
      for (const AddedToken* token : by_byte_[static_cast<unsigned char>(text[at])]) {
        if (text.substr(at).starts_with(text_of(*token))) return token;
      }
    }
    return nullptr;
  }

 private:
  static unsigned char first_byte(std::string_view text) { return static_cast<unsigned char>(text.front()); }

  const Vocabulary& vocabulary_;
  std::vector<const AddedToken*> by_byte_[256];
};

bool is_space(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}

bool wants_space(SpacePrefix prefix, std::string_view text, bool at_begin) {
  if (prefix == SpacePrefix::Always) return true;
  if (text.starts_with(' ') || text.starts_with("▁")) return false;
  return prefix == SpacePrefix::WhereMissing || (prefix == SpacePrefix::First && at_begin);
}

// The text between two added tokens.
void append_text(std::vector<int32_t>& out, const llama_vocab* vocab, const Vocabulary& vocabulary,
                 std::string_view text, bool at_begin) {
  if (text.empty()) return;
  const std::string normal = vocabulary.nfc ? normal_form(text) : std::string(text);
  const std::string space = wants_space(vocabulary.space_prefix, normal, at_begin) ? " " : "";
  append_tokens(out, vocab, space + normal, false, false);
}

}  // namespace

std::vector<int32_t> tokenize(const llama_vocab* vocab, const Vocabulary* vocabulary, std::string_view text,
                              SpecialTokens special) {
  check_text(text);
  std::vector<int32_t> out;
  const bool configured = special == SpecialTokens::AsConfigured;
  if (vocabulary == nullptr) {
    append_tokens(out, vocab, text, configured, true);
    return out;
  }
  if (configured && vocabulary->add_bos) out.push_back(*vocabulary->bos);
  const AddedTokens added(*vocabulary);
  size_t begin = 0, at = 0;
  while (const AddedToken* token = added.find(text, at)) {
    size_t end = at;
    while (token->strips_left && end > begin && is_space(text[end - 1])) --end;
    append_text(out, vocab, *vocabulary, text.substr(begin, end - begin), begin == 0);
    out.push_back(token->id);
    at += added.text_of(*token).size();
    while (token->strips_right && at < text.size() && is_space(text[at])) ++at;
    begin = at;
  }
  append_text(out, vocab, *vocabulary, text.substr(begin), begin == 0);
  if (configured && vocabulary->add_eos) out.push_back(*vocabulary->eos);
  return out;
}

std::string piece(const llama_vocab* vocab, int32_t token, ControlTokens controls) {
  const bool special = controls == ControlTokens::Shown;
  std::string out(32, '\0');
  int32_t size = llama_token_to_piece(vocab, token, out.data(), static_cast<int32_t>(out.size()), 0, special);
  if (size < 0) {
    out.resize(static_cast<size_t>(-size));
    size = llama_token_to_piece(vocab, token, out.data(), static_cast<int32_t>(out.size()), 0, special);
  }
  out.resize(static_cast<size_t>(std::max(size, 0)));
  return out;
}

}  // namespace gyro
