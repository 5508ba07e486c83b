#include "gyro/infer/vocabulary.h"

#include <algorithm>
#include <map>
#include <set>
#include <unordered_map>

#include "gyro/base/error.h"
#include "gyro/checkpoint/json_fields.h"
#include "gyro/checkpoint/tokenizer_file.h"
#include "gyro/infer/tokenizer_json.h"
#include "gyro/infer/tokenizer_model.h"

namespace gyro {
namespace {

using Json = JsonFields::Json;

constexpr size_t kConfigLimit = size_t{16} << 20;

// A model's companion files, read when they are there.
class Companions {
 public:
  explicit Companions(const TensorSource& source) : source_(source) {
    for (const std::string& name : source.companions()) names_.insert(name);
  }
  bool has(const std::string& name) const { return names_.contains(name); }
  std::string subject(const std::string& name) const { return (source_.path() / name).string(); }
  std::string text(const std::string& name, size_t limit) const { return source_.companion(name, limit); }

 private:
  const TensorSource& source_;
  std::set<std::string> names_;
};

// A JSON file and its fields; an empty object where the file is not there.
struct JsonFile {
  JsonFile(const Companions& files, const std::string& name)
      : json(files.has(name) ? parse_json(files.subject(name), files.text(name, kConfigLimit)) : Json::object()),
        fields(files.subject(name), "", json) {}
  JsonFile(const JsonFile&) = delete;
  JsonFile& operator=(const JsonFile&) = delete;
  Json json;
  JsonFields fields;
};

std::optional<int32_t> id_of(const Vocabulary& vocabulary, const std::string& token) {
  const auto found = std::ranges::find(vocabulary.tokens, token);
  if (found == vocabulary.tokens.end()) return std::nullopt;
  return static_cast<int32_t>(found - vocabulary.tokens.begin());
}

// A special token is given as its text, or as an object with its text in `content`.
std::optional<std::string> token_text(const JsonFields& config, const char* key) {
  const Json* value = config.find(key);
  if (value == nullptr) return std::nullopt;
  if (value->is_object()) return config.object(key)->string("content");
  return config.optional_string(key);
}

void set_special(std::optional<int32_t>& id, const Vocabulary& vocabulary, const JsonFields& config, const char* key) {
  const std::optional<std::string> text = token_text(config, key);
  if (!text) return;
  const std::optional<int32_t> found = id_of(vocabulary, *text);
  if (!found) config.fail_at(key, "is \"{}\", which is no token", printable(*text));
  id = found;
}

size_t id_of_key(const JsonFields& decoder, const std::string& key) {
  constexpr size_t kMaxDigits = 7;
  if (key.empty() || key.size() > kMaxDigits || key.find_first_not_of("0123456789") != key.npos) {
    decoder.fail_at(key, "is not under an id of a token");
  }
  const auto id = static_cast<size_t>(std::stoi(key));
  if (id >= kMostTokens) decoder.fail_at(key, "is not under an id below {}", kMostTokens);
  return id;
}

// Tokens that tokenizer_config.json adds to those of a tokenizer.model.
void add_decoder_tokens(Vocabulary& out, const JsonFields& config) {
  const std::optional<JsonFields> decoder = config.object("added_tokens_decoder");
  if (!decoder) return;
  std::unordered_map<std::string, size_t> ids;
  for (size_t id = 0; id < out.tokens.size(); ++id) ids.emplace(out.tokens[id], id);
  std::map<int32_t, AddedToken> added;
  for (const AddedToken& token : out.added) added[token.id] = token;
  for (const auto& [key, value] : config.find("added_tokens_decoder")->items()) {
    const JsonFields token(config.subject(), decoder->name_of(key), value);
    const size_t id = id_of_key(*decoder, key);
    const std::string text = token.string("content");
    const bool special = token.boolean("special").value_or(false);
    if (text.empty() || text.find('\0') != text.npos) token.fail_at("content", "is empty or has a zero byte");
    const auto [same, is_new] = ids.emplace(text, id);
    if (same->second != id) token.fail_at("content", "is also the text of token {}", same->second);
    if (id >= out.tokens.size()) {
      out.tokens.resize(id + 1);
      out.types.resize(id + 1, TokenType::Unused);
    }
    if (!out.tokens[id].empty() && out.tokens[id] != text) {
      token.fail_at("content", "is not the text of token {}, \"{}\"", id, printable(out.tokens[id]));
    }
    out.tokens[id] = text;
    if (out.types[id] != TokenType::Unknown) out.types[id] = special ? TokenType::Control : TokenType::UserDefined;
    const auto place = static_cast<int32_t>(id);
    added[place] = {place, token.boolean("lstrip").value_or(false), token.boolean("rstrip").value_or(false), special};
  }
  out.added.clear();
  for (const auto& [id, token] : added) out.added.push_back(token);
}

Vocabulary read_tokenizer(const TensorSource& source, const Companions& files, const JsonFields& config,
                          const std::optional<std::string>& pre) {
  if (files.has("tokenizer.json")) {
    const std::string text = files.text("tokenizer.json", kTokenizerLimit);
    return parse_tokenizer_json(files.subject("tokenizer.json"), text, pre);
  }
  if (!files.has("tokenizer.model")) {
    fail(ErrorKind::NotFound, source.path().string(), "has no tokenizer.json and no tokenizer.model");
  }
  if (pre) fail_not_pre(files.subject("tokenizer.model"));
  const std::string bytes = files.text("tokenizer.model", kTokenizerLimit);
  Vocabulary out = parse_tokenizer_model(files.subject("tokenizer.model"), bytes);
  add_decoder_tokens(out, config);
  pad_tokens(out, out.tokens.size());
  return out;
}

// tokenizer_config.json over what the tokenizer says: names of special tokens, and what encoding adds. A tokenizer.json
// says `by_id` what it puts around text; with a tokenizer.model it is what the configuration names.
void apply_config(Vocabulary& out, const JsonFields& config, bool by_id) {
  constexpr int32_t kNone = -1;
  const int32_t before = by_id && out.add_bos ? out.bos.value_or(kNone) : kNone;
  const int32_t behind = by_id && out.add_eos ? out.eos.value_or(kNone) : kNone;
  set_special(out.bos, out, config, "bos_token");
  set_special(out.eos, out, config, "eos_token");
  set_special(out.pad, out, config, "pad_token");
  set_special(out.unk, out, config, "unk_token");
  out.add_bos = config.boolean("add_bos_token").value_or(out.add_bos);
  out.add_eos = config.boolean("add_eos_token").value_or(out.add_eos);
  if (out.add_bos && before != kNone && before != out.bos) {
    config.fail_at("bos_token", "is not the token that the tokenizer puts before text");
  }
  if (out.add_eos && behind != kNone && behind != out.eos) {
    config.fail_at("eos_token", "is not the token that the tokenizer puts behind text");
  }
}

// An id, or a list of them.
std::vector<int32_t> token_ids(const JsonFields& config, const char* key, size_t count) {
  const Json* value = config.find(key);
  if (value == nullptr) return {};
  std::vector<int32_t> out;
  const Json list = value->is_array() ? *value : Json::array({*value});
  for (const Json& id : list) {
    if (!id.is_number_unsigned()) config.fail_at(key, "must be an id of a token, or a list of them");
    if (id.get<uint64_t>() >= count) config.fail_at(key, "has {}, and there are {} tokens", id.get<uint64_t>(), count);
    out.push_back(id.get<int32_t>());
  }
  std::ranges::sort(out);
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

void set_first(std::optional<int32_t>& id, const std::vector<int32_t>& ids) {
  if (!id && !ids.empty()) id = ids.front();
}

// The ends of generation_config.json, else of config.json, else the tokenizer's own.
void apply_generation(Vocabulary& out, const JsonFields& generation, const JsonFields& config) {
  const size_t count = out.tokens.size();
  out.ends = token_ids(generation, "eos_token_id", count);
  const std::vector<int32_t> model_ends = token_ids(config, "eos_token_id", count);
  if (out.ends.empty()) out.ends = model_ends;
  if (out.ends.empty() && out.eos) out.ends = {*out.eos};
  set_first(out.bos, token_ids(config, "bos_token_id", count));
  set_first(out.eos, model_ends);
  set_first(out.eos, out.ends);
  if (out.add_bos && !out.bos)
    fail(generation.subject(), "no bos_token is known, which the tokenizer puts before text");
  if (out.add_eos && !out.eos)
    fail(generation.subject(), "no eos_token is known, which the tokenizer puts behind text");
}

}  // namespace

Vocabulary read_vocabulary(const TensorSource& source, const std::optional<std::string>& pre, int64_t embedding_rows) {
  const Companions files(source);
  const JsonFile tokenizer_config(files, "tokenizer_config.json");
  const JsonFile generation_config(files, "generation_config.json");
  const JsonFile config(files, "config.json");
  Vocabulary out = read_tokenizer(source, files, tokenizer_config.fields, pre);
  if (out.tokens.size() > static_cast<size_t>(embedding_rows)) {
    fail(source.path().string(), "the tokenizer has {} tokens, the embedding {} rows", out.tokens.size(),
         embedding_rows);
  }
  pad_tokens(out, static_cast<size_t>(embedding_rows));
  apply_config(out, tokenizer_config.fields, files.has("tokenizer.json"));
  apply_generation(out, generation_config.fields, config.fields);
  return out;
}

}  // namespace gyro
