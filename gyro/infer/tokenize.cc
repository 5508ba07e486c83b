#include "gyro/infer/tokenize.h"

#include <llama.h>
#include <utf8proc.h>

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <span>

#include "gyro/base/error.h"
#include "gyro/infer/deep_stack.h"

namespace gyro {
namespace {

constexpr std::string_view kSubject = "text";

void check_text(std::string_view text) {
  if (text.size() > kMostTextBytes) fail(std::string(kSubject), "has more than {} bytes", kMostTextBytes);
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

// Most expressions of pre-tokenizers are run by std::regex, which recurses with every character of a match: by up to
// 915 bytes. A match spans a stretch and at most another beside it.
constexpr size_t kShortStretch = 1000, kLongestStretch = 1'000'000, kStackOfCharacter = 2 * 1536;

// Calls `work` where there is stack enough for llama.cpp to split `text`.
void with_stack_for(const llama_vocab* vocab, std::string_view text, MatchSpan span,
                    const std::function<void()>& work) {
  const bool splits = llama_vocab_type(vocab) == LLAMA_VOCAB_TYPE_BPE && text.size() > kShortStretch;
  const size_t longest = splits ? longest_stretch(text, span) : 0;
  if (longest <= kShortStretch) return work();
  if (longest > kLongestStretch) {
    fail(std::string(kSubject), "has {} characters without {}: {} are the most", longest,
         span == MatchSpan::Run ? "white space between them, or of nothing else" : "a line break", kLongestStretch);
  }
  on_deep_stack((size_t{1} << 20) + longest * kStackOfCharacter, work);
}

// llama.cpp's tokens of text. With `whole` it looks for special tokens in it itself, and adds those that the file says.
void append_tokens(std::vector<int32_t>& out, const llama_vocab* vocab, std::string_view text, bool add, bool whole,
                   MatchSpan span) {
  const auto size = static_cast<int32_t>(text.size());
  const size_t begin = out.size();
  out.resize(begin + text.size() + 4);
  const auto room = static_cast<int32_t>(out.size() - begin);
  int32_t count = 0;
  with_stack_for(vocab, text, span,
                 [&] { count = llama_tokenize(vocab, text.data(), size, out.data() + begin, room, add, whole); });
  if (count < 0) fail(std::string(kSubject), "has more tokens than bytes");
  out.resize(begin + static_cast<size_t>(count));
}

// Finds added tokens in text: the leftmost one, and of those that begin there the longest.
class AddedTokens {
 public:
  explicit AddedTokens(const Vocabulary& vocabulary) : vocabulary_(vocabulary) {
    for (const AddedToken& token : vocabulary.added) by_text_.push_back(&token);
    std::ranges::sort(by_text_, {}, [&](const AddedToken* token) { return text_of(*token); });
  }

  std::string_view text_of(const AddedToken& token) const { return vocabulary_.text_of(token.id); }

  const AddedToken* find(std::string_view text, size_t& at) const {
    for (; at < text.size(); ++at) {
      if (const AddedToken* token = longest_at_begin(text.substr(at))) return token;
    }
    return nullptr;
  }

 private:
  // Narrows down, byte by byte, to the tokens that begin as the text does; the shortest of them comes first.
  const AddedToken* longest_at_begin(std::string_view text) const {
    const AddedToken* longest = nullptr;
    std::span<const AddedToken* const> left = by_text_;
    for (size_t length = 0; !left.empty() && length < text.size(); ++length) {
      const auto byte = [&](const AddedToken* token) { return static_cast<unsigned char>(text_of(*token)[length]); };
      const auto wanted = static_cast<unsigned char>(text[length]);
      const auto begin = std::ranges::lower_bound(left, wanted, {}, byte);
      left = {begin, std::ranges::upper_bound(begin, left.end(), wanted, {}, byte)};
      if (!left.empty() && text_of(*left.front()).size() == length + 1) {
        longest = left.front();
        left = left.subspan(1);
      }
    }
    return longest;
  }

  const Vocabulary& vocabulary_;
  std::vector<const AddedToken*> by_text_;
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
  // Of llama.cpp's these join words.
  const bool joins = vocabulary.pre == "superbpe" || vocabulary.pre == "exaone-moe";
  const MatchSpan span = joins ? MatchSpan::Line : MatchSpan::Run;
  append_tokens(out, vocab, space + normal, false, false, span);
}

}  // namespace

std::vector<int32_t> tokenize(const llama_vocab* vocab, const Vocabulary* vocabulary, std::string_view text,
                              SpecialTokens special) {
  check_text(text);
  std::vector<int32_t> out;
  const bool configured = special == SpecialTokens::AsConfigured;
  if (vocabulary == nullptr) {
    append_tokens(out, vocab, text, configured, true, MatchSpan::Line);  // whatever its pre-tokenizer is
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
