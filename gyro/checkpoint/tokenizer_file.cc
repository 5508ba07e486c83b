#include "gyro/checkpoint/tokenizer_file.h"

namespace gyro {
namespace {

constexpr auto kMaxTokens = static_cast<int64_t>(kMostTokens);

// Unigram's [[token, score], ...].
void visit_list(const JsonFields& model, const JsonFields::Json& list,
                const std::function<void(const std::string&, int32_t)>& visit) {
  if (list.size() > kMostTokens) model.fail_at("vocab", "has more than {} tokens", kMaxTokens);
  for (size_t id = 0; id < list.size(); ++id) {
    const JsonFields::Json& piece = list[id];
    if (!piece.is_array() || piece.empty() || !piece.front().is_string())
      model.fail_at("vocab", "[{}] is no token with its score", id);
    visit(piece.front().get_ref<const std::string&>(), static_cast<int32_t>(id));
  }
}

}  // namespace

void visit_vocab(const JsonFields& model, const std::function<void(const std::string&, int32_t)>& visit) {
  const JsonFields::Json& vocab = model.require("vocab");
  if (vocab.is_array() && model.optional_string("type") == "Unigram") return visit_list(model, vocab, visit);
  if (!vocab.is_object()) model.fail_at("vocab", "must be an object of ids");
  for (const auto& [token, id] : vocab.items()) {
    if (!id.is_number_unsigned() || id.get<uint64_t>() >= kMostTokens) {
      model.fail_at("vocab", "has \"{}\" without an id from 0 to {}", printable(token), kMaxTokens - 1);
    }
    visit(token, id.get<int32_t>());
  }
}

std::vector<AddedTokenField> added_token_fields(const JsonFields& file) {
  std::vector<AddedTokenField> out;
  if (file.find("added_tokens") == nullptr) return out;
  const size_t count = file.array("added_tokens").size();
  for (size_t i = 0; i < count; ++i) {
    JsonFields fields = file.element("added_tokens", i);
    const auto id = static_cast<int32_t>(fields.integer("id", kMaxTokens - 1));
    std::string content = fields.string("content");
    out.push_back({std::move(fields), id, std::move(content)});
  }
  return out;
}

bool is_byte_token(std::string_view token) {
  const auto hex = [](char c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'F'); };
  return token.size() == 6 && token.starts_with("<0x") && token.back() == '>' && hex(token[3]) && hex(token[4]);
}

}  // namespace gyro
