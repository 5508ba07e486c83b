#include "gyro/infer/tokenizer_json.h"

#include <algorithm>
#include <unordered_map>

#include "gyro/base/error.h"
#include "gyro/checkpoint/json_fields.h"
#include "gyro/checkpoint/tokenizer_file.h"
#include "gyro/infer/pre_tokenizer.h"

namespace gyro {
namespace {

using Json = JsonFields::Json;
using Ids = std::unordered_map<std::string_view, int32_t>;

constexpr auto kMaxTokens = static_cast<int64_t>(kMostTokens);
constexpr float kScoreOfUnjoined = -1e9F;  // of tokens that no merge makes: below every score of those

// What is done to text before it is split.
struct Normalizer {
  bool nfc = false;
  bool marks_spaces = false;  // puts ▁ in place of spaces
  bool prepends = false;      // and one before the text
};

void add_normalizer(Normalizer& out, const JsonFields& step) {
  const std::string type = step.string("type");
  if (type == "Sequence") {
    const size_t steps = step.array("normalizers").size();
    for (size_t i = 0; i < steps; ++i) add_normalizer(out, step.element("normalizers", i));
  } else if (type == "NFC") {
    out.nfc = true;
  } else if (type == "Prepend" && step.string("prepend") == kSpaceMark) {
    out.prepends = true;
  } else if (type == "Replace" && step.string("content") == kSpaceMark) {
    const std::optional<JsonFields> pattern = step.object("pattern");
    if (!pattern || pattern->optional_string("String") != " ") step.fail_at("pattern", "must be a space here");
    out.marks_spaces = true;
  } else {
    step.fail_at("type", "is \"{}\" in a form that Gyro does not run", printable(type));
  }
}

// Ids of the post-processor's template: one token before text, one behind it, or none.
struct Around {
  std::optional<int32_t> before, behind;
};

void read_template(Around& out, const JsonFields& step) {
  const Json& items = step.array("single");
  bool text_seen = false;
  for (size_t i = 0; i < items.size(); ++i) {
    const JsonFields item = step.element("single", i);
    if (const std::optional<JsonFields> token = item.object("SpecialToken")) {
      const std::optional<JsonFields> specials = step.object("special_tokens");
      const std::optional<JsonFields> entry = specials ? specials->object(token->string("id")) : std::nullopt;
      if (!entry) token->fail_at("id", "is not in {}", step.name_of("special_tokens"));
      const Json& ids = entry->array("ids");
      std::optional<int32_t>& place = text_seen ? out.behind : out.before;
      if (ids.size() != 1 || place) step.fail_at("single", "has more than one token before or behind the text");
      const Json& id = ids.front();
      if (!id.is_number_unsigned() || id.get<uint64_t>() >= kMaxTokens) entry->fail_at("ids", "must hold an id");
      place = id.get<int32_t>();
    } else if (item.object("Sequence")) {
      text_seen = true;
    } else {
      item.fail_at("SpecialToken", "is missing, and no Sequence is there");
    }
  }
}

void read_post_processor(Around& out, const JsonFields& step) {
  const std::string type = step.string("type");
  if (type == "Sequence") {
    const size_t steps = step.array("processors").size();
    for (size_t i = 0; i < steps; ++i) read_post_processor(out, step.element("processors", i));
  } else if (type == "TemplateProcessing") {
    read_template(out, step);
  } else if (type != "ByteLevel") {
    step.fail_at("type", "is \"{}\", which Gyro does not run", printable(type));
  }
}

// Puts a token at its id; what is between is filled later.
void place_token(Vocabulary& out, const JsonFields& fields, std::string_view key, const std::string& token, int32_t id,
                 TokenType type) {
  const size_t at = static_cast<size_t>(id);
  if (token.empty()) fields.fail_at(key, "has an empty token (id {})", id);
  if (token.find('\0') != token.npos) fields.fail_at(key, "has a token with a zero byte (id {})", id);
  if (at >= out.tokens.size()) {
    out.tokens.resize(at + 1);
    out.types.resize(at + 1, TokenType::Unused);
  }
  if (!out.tokens[at].empty() && out.tokens[at] != token) {
    fields.fail_at(key, "has \"{}\" and \"{}\" at id {}", printable(out.tokens[at]), printable(token), id);
  }
  out.tokens[at] = token;
  out.types[at] = type;
}

void read_tokens(Vocabulary& out, const JsonFields& model) {
  const std::optional<std::string> unknown = model.optional_string("unk_token");
  visit_vocab(model, [&](const std::string& token, int32_t id) {
    TokenType type = TokenType::Normal;
    if (unknown == token) type = TokenType::Unknown;
    if (out.model == TokenModel::SentencePiece && is_byte_token(token)) type = TokenType::Byte;
    place_token(out, model, "vocab", token, id, type);
    if (unknown == token) out.unk = id;
  });
}

void read_added_tokens(Vocabulary& out, const JsonFields& file) {
  for (const AddedTokenField& token : added_token_fields(file)) {
    const JsonFields& fields = token.fields;
    AddedToken added;
    added.id = token.id;
    added.special = fields.boolean("special").value_or(false);
    added.strips_left = fields.boolean("lstrip").value_or(false);
    added.strips_right = fields.boolean("rstrip").value_or(false);
    if (fields.boolean("single_word").value_or(false))
      fields.fail_at("single_word", "is true, which Gyro does not run");
    const TokenType type = added.id == out.unk ? TokenType::Unknown
                           : added.special     ? TokenType::Control
                                               : TokenType::UserDefined;
    place_token(out, fields, "content", token.content, added.id, type);
    out.added.push_back(added);
  }
  std::ranges::sort(out.added, {}, &AddedToken::id);
  for (size_t i = 1; i < out.added.size(); ++i) {
    if (out.added[i].id == out.added[i - 1].id) fail(file.subject(), "added_tokens has id {} twice", out.added[i].id);
  }
}

// Each token once: returns their ids.
Ids index_tokens(const JsonFields& file, const Vocabulary& vocabulary) {
  Ids ids;
  ids.reserve(vocabulary.tokens.size());
  for (size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    const std::string& token = vocabulary.tokens[id];
    if (token.empty()) continue;
    const auto [found, is_new] = ids.emplace(token, static_cast<int32_t>(id));
    if (!is_new) fail(file.subject(), "has the token \"{}\" at ids {} and {}", printable(token), found->second, id);
  }
  return ids;
}

struct Merge {
  std::string left, right;
};

// "left right", or ["left", "right"].
Merge parse_merge(const JsonFields& model, const Json& merge, size_t index) {
  if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
    return {merge[0].get<std::string>(), merge[1].get<std::string>()};
  }
  const std::string text = merge.is_string() ? merge.get<std::string>() : std::string();
  const size_t space = text.find(' ');
  if (space == text.npos || space == 0 || space + 1 == text.size() || text.find(' ', space + 1) != text.npos) {
    model.fail_at("merges", "[{}] must be two tokens", index);
  }
  return {text.substr(0, space), text.substr(space + 1)};
}

void read_merges(Vocabulary& out, const JsonFields& model, const Ids& ids) {
  const Json& merges = model.array("merges");
  const bool byte_level = out.model == TokenModel::ByteLevelBpe;
  if (!byte_level) out.scores.assign(out.tokens.size(), kScoreOfUnjoined);
  for (size_t rank = 0; rank < merges.size(); ++rank) {
    const Merge merge = parse_merge(model, merges[rank], rank);
    const auto joined = ids.find(merge.left + merge.right);
    if (!ids.contains(merge.left) || !ids.contains(merge.right) || joined == ids.end()) {
      model.fail_at("merges", "[{}] is of \"{}\" and \"{}\", which are not tokens or make none", rank,
                    printable(merge.left), printable(merge.right));
    }
    if (byte_level) {
      if (merge.left.find(' ') != std::string::npos || merge.right.find(' ') != std::string::npos) {
        model.fail_at("merges", "[{}] has a space in a token, which has no place in a byte-level model", rank);
      }
      out.merges.push_back(merge.left + ' ' + merge.right);
    } else {
      float& score = out.scores[static_cast<size_t>(joined->second)];
      score = std::max(score, -static_cast<float>(rank));
    }
  }
}

void require_byte_tokens(const JsonFields& model, const Ids& ids) {
  for (int byte = 0; byte < 256; ++byte) {
    const std::string token = fmt::format("<0x{:02X}>", byte);
    if (!ids.contains(token)) model.fail_at("vocab", "lacks {}, although byte_fallback is true", token);
  }
}

void check_model(const JsonFields& model) {
  // Files of before 2020 name no type.
  const std::string type = model.optional_string("type").value_or("BPE");
  if (type != "BPE") model.fail_at("type", "is \"{}\": Gyro runs BPE", printable(type));
  for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    if (!model.optional_string(key).value_or("").empty()) model.fail_at(key, "is not empty, which Gyro does not run");
  }
  if (model.find("dropout") != nullptr) model.fail_at("dropout", "is set: its tokens would be random");
}

void choose_pre_tokenizer(Vocabulary& out, const JsonFields& file, const JsonFields& model, const PreTokenizer& found,
                          const std::optional<std::string>& pre) {
  if (pre) {
    if (!knows_pre_tokenizer(*pre)) {
      fail({ErrorKind::Input, "pre"}, file.subject(), "llama.cpp knows no pre-tokenizer named \"{}\"", printable(*pre));
    }
    out.pre = *pre;
    return;
  }
  const bool ignore_merges = model.boolean("ignore_merges").value_or(false);
  const std::optional<std::string> name = pre_tokenizer_name(found.steps, ignore_merges);
  if (!name) {
    fail({ErrorKind::Input, "pre"}, file.subject(), "pre_tokenizer is none that llama.cpp is known to have: {}{}",
         printable(found.steps, 200), ignore_merges ? " (ignore_merges)" : "");
  }
  out.pre = *name;
}

// Text of a SentencePiece model is not split, but where all spaces have been replaced before.
void check_not_split(const JsonFields& file, const Normalizer& normalizer, const PreTokenizer& found) {
  if (found.steps.empty() || (normalizer.marks_spaces && found.steps == "split at \" \"")) return;
  fail(file.subject(), "pre_tokenizer splits text, which Gyro does not run with byte_fallback: {}",
       printable(found.steps, 200));
}

void read_preparation(Vocabulary& out, const JsonFields& file, const JsonFields& model,
                      const std::optional<std::string>& pre) {
  Normalizer normalizer;
  if (const std::optional<JsonFields> step = file.object("normalizer")) add_normalizer(normalizer, *step);
  const PreTokenizer found = read_pre_tokenizer(file);
  out.nfc = normalizer.nfc;
  out.space_prefix = normalizer.prepends ? SpacePrefix::Always : found.space_prefix;
  const bool byte_fallback = model.boolean("byte_fallback").value_or(false);
  if (found.byte_level == byte_fallback) {
    fail(file.subject(), "is {}: Gyro runs byte-level BPE, and BPE with byte_fallback",
         byte_fallback ? "byte-level with byte_fallback" : "neither byte-level nor with byte_fallback");
  }
  out.model = found.byte_level ? TokenModel::ByteLevelBpe : TokenModel::SentencePiece;
  if (found.byte_level) {
    if (normalizer.marks_spaces || normalizer.prepends)
      fail(file.subject(), "normalizer marks spaces of a byte-level model");
    choose_pre_tokenizer(out, file, model, found, pre);
  } else {
    if (pre) fail_not_pre(file.subject());
    check_not_split(file, normalizer, found);
  }
}

void apply_post_processor(Vocabulary& out, const JsonFields& file) {
  Around around;
  if (const std::optional<JsonFields> step = file.object("post_processor")) read_post_processor(around, *step);
  for (const std::optional<int32_t>& id : {around.before, around.behind}) {
    if (id && static_cast<size_t>(*id) >= out.tokens.size()) {
      fail(file.subject(), "post_processor has the id {}, which no token has", *id);
    }
  }
  out.bos = around.before;
  out.eos = around.behind;
  out.add_bos = around.before.has_value();
  out.add_eos = around.behind.has_value();
}

}  // namespace

void fail_not_pre(const std::string& subject) {
  fail_field("pre", "is for byte-level tokenizers: {} splits no text into words", subject);
}

void pad_tokens(Vocabulary& vocabulary, size_t count) {
  count = std::max(count, vocabulary.tokens.size());
  vocabulary.tokens.resize(count);
  vocabulary.types.resize(count, TokenType::Unused);
  if (vocabulary.model == TokenModel::SentencePiece) vocabulary.scores.resize(count, kScoreOfUnjoined);
  // A prefix that no token begins with.
  std::string prefix = "[PAD";
  const auto taken = [&](const std::string& token) { return token.starts_with(prefix); };
  while (std::ranges::any_of(vocabulary.tokens, taken)) prefix += '_';
  for (size_t id = 0; id < count; ++id) {
    if (vocabulary.tokens[id].empty()) vocabulary.tokens[id] = fmt::format("{}{}]", prefix, id);
  }
}

Vocabulary parse_tokenizer_json(std::string_view subject, std::string_view text,
                                const std::optional<std::string>& pre) {
  const Json json = parse_json(subject, text);
  const JsonFields file(subject, "", json);
  const std::optional<JsonFields> model = file.object("model");
  if (!model) fail(file.subject(), "model is missing");
  check_model(*model);
  Vocabulary out;
  read_preparation(out, file, *model, pre);
  read_tokens(out, *model);
  read_added_tokens(out, file);
  if (out.tokens.empty()) fail(file.subject(), "has no tokens");
  const Ids ids = index_tokens(file, out);
  if (out.model == TokenModel::SentencePiece) require_byte_tokens(*model, ids);
  read_merges(out, *model, ids);
  apply_post_processor(out, file);
  pad_tokens(out, out.tokens.size());
  return out;
}

}  // namespace gyro
