#include "gyro/infer/vocabulary.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "gyro/checkpoint/checkpoint.h"
#include "gyro/infer/test_util.h"

namespace gyro {
namespace {

using Json = nlohmann::json;

Vocabulary read(const std::filesystem::path& folder, int64_t rows = 448) {
  return read_vocabulary(Checkpoint(folder), std::nullopt, rows);
}

std::string error_in(const ModelCopy& model, int64_t rows = 448) {
  std::string line = error_of([&] { read(model.path(), rows); });
  if (const size_t at = line.find("/model"); at != line.npos) line.erase(0, at + 1);
  return line;
}

struct Shipped {
  std::string name;
  TokenModel model;
  std::string pre, bos;
  std::vector<int32_t> ends;
  bool add_bos;
  SpacePrefix space_prefix;
};

const std::vector<Shipped> kShipped = {
    {"pico-qwen2", TokenModel::ByteLevelBpe, "qwen2", "", {445, 447}, false, SpacePrefix::None},
    {"pico-qwen3moe", TokenModel::ByteLevelBpe, "qwen2", "", {445, 447}, false, SpacePrefix::None},
    {"pico-llama", TokenModel::ByteLevelBpe, "smaug-bpe", "<|begin_of_text|>", {444, 447}, true, SpacePrefix::None},
    {"pico-mistral", TokenModel::SentencePiece, "", "<s>", {2}, true, SpacePrefix::Always},
    {"pico-gemma2", TokenModel::SentencePiece, "", "<bos>", {1, 5}, true, SpacePrefix::None},
    {"pico-phi3", TokenModel::SentencePiece, "", "<s>", {3, 7}, true, SpacePrefix::Always},
};

TEST(Vocabulary, ReadsTheShippedModels) {
  for (const Shipped& expected : kShipped) {
    const Vocabulary vocabulary = read(shipped_model(expected.name + "/instruct"));
    EXPECT_EQ(vocabulary.model, expected.model) << expected.name;
    EXPECT_EQ(vocabulary.pre, expected.pre) << expected.name;
    EXPECT_EQ(vocabulary.text_of(vocabulary.bos), expected.bos) << expected.name;
    EXPECT_EQ(vocabulary.ends, expected.ends) << expected.name;
    EXPECT_EQ(vocabulary.add_bos, expected.add_bos) << expected.name;
    EXPECT_FALSE(vocabulary.add_eos) << expected.name;
    EXPECT_EQ(vocabulary.space_prefix, expected.space_prefix) << expected.name;
    EXPECT_EQ(vocabulary.tokens.size(), 448U) << expected.name;
    EXPECT_EQ(vocabulary.types.size(), 448U) << expected.name;
    EXPECT_EQ(std::ranges::count(vocabulary.types, TokenType::Unused), 0) << expected.name;
  }
}

// Ids by descending score, those of merges only: what a SentencePiece model does with text hangs on this order alone.
std::vector<size_t> merge_order(const Vocabulary& vocabulary) {
  std::vector<size_t> ids;
  for (size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    const std::string& token = vocabulary.tokens[id];
    const auto leads = [](char c) { return (c & 0xC0) != 0x80; };
    const bool joins = vocabulary.types[id] == TokenType::Normal && std::ranges::count_if(token, leads) > 1;
    if (joins && vocabulary.scores[id] > -1e6F) ids.push_back(id);
  }
  std::ranges::stable_sort(ids, std::ranges::greater(), [&](size_t id) { return vocabulary.scores[id]; });
  return ids;
}

TEST(Vocabulary, TokenizerModelSaysWhatTokenizerJsonSays) {
  for (const char* name : {"pico-mistral", "pico-gemma2", "pico-phi3"}) {
    const ModelCopy copy(std::string(name) + "/instruct");
    const Vocabulary json = read(copy.path());
    copy.remove("tokenizer.json");
    const Vocabulary model = read(copy.path());
    EXPECT_EQ(model.model, json.model);
    EXPECT_EQ(model.tokens, json.tokens) << name;
    EXPECT_EQ(merge_order(model), merge_order(json)) << name;
    EXPECT_FALSE(merge_order(model).empty());
    EXPECT_EQ(model.bos, json.bos) << name;
    EXPECT_EQ(model.eos, json.eos) << name;
    EXPECT_EQ(model.ends, json.ends) << name;
    EXPECT_EQ(model.add_bos, json.add_bos) << name;
    EXPECT_EQ(model.space_prefix, json.space_prefix) << name;
  }
}

TEST(Vocabulary, RowsWithoutATokenAreUnused) {
  const Vocabulary vocabulary = read(shipped_model("pico-mistral/base"), 512);
  ASSERT_EQ(vocabulary.tokens.size(), 512U);
  EXPECT_EQ(vocabulary.scores.size(), 512U);
  EXPECT_EQ(std::ranges::count(vocabulary.types, TokenType::Unused), 64);
  EXPECT_EQ(vocabulary.types[447], TokenType::Normal);
  EXPECT_EQ(vocabulary.types[448], TokenType::Unused);
}

TEST(Vocabulary, MoreTokensThanRowsIsAnError) {
  EXPECT_EQ(error_in(ModelCopy("pico-llama/base"), 447), "model: the tokenizer has 448 tokens, the embedding 447 rows");
}

TEST(Vocabulary, NoTokenizerIsAnError) {
  const ModelCopy copy("pico-llama/base");
  copy.remove("tokenizer.json");
  EXPECT_EQ(error_in(copy), "model: has no tokenizer.json and no tokenizer.model");
}

TEST(Vocabulary, EndsComeFromTheMostParticularFile) {
  const ModelCopy copy("pico-llama/instruct");
  copy.edit("generation_config.json", [](Json& json) { json["eos_token_id"] = 447; });
  EXPECT_EQ(read(copy.path()).ends, std::vector<int32_t>{447});
  copy.remove("generation_config.json");
  EXPECT_EQ(read(copy.path()).ends, std::vector<int32_t>{444}) << "config.json's";
  copy.edit("config.json", [](Json& json) { json.erase("eos_token_id"); });
  EXPECT_EQ(read(copy.path()).ends, std::vector<int32_t>{447}) << "the tokenizer's, <|eot_id|>";
}

TEST(Vocabulary, TokenizerConfigDecidesWhatEncodingAdds) {
  const ModelCopy copy("pico-llama/instruct");
  copy.edit("tokenizer_config.json", [](Json& json) {
    json["add_bos_token"] = false;
    json["add_eos_token"] = true;
    json["eos_token"] = {{"content", "<|end_of_text|>"}, {"lstrip", false}};
  });
  const Vocabulary vocabulary = read(copy.path());
  EXPECT_FALSE(vocabulary.add_bos);
  EXPECT_TRUE(vocabulary.add_eos);
  EXPECT_EQ(vocabulary.eos, 444);
}

TEST(Vocabulary, TokenizerConfigAddsTokensToATokenizerModel) {
  const ModelCopy copy("pico-phi3/instruct");
  copy.remove("tokenizer.json");
  copy.edit("tokenizer_config.json", [](Json& json) {
    json["added_tokens_decoder"] = {{"449", {{"content", "<|tool|>"}, {"special", false}, {"rstrip", true}}}};
  });
  const Vocabulary vocabulary = read(copy.path(), 450);
  EXPECT_EQ(vocabulary.tokens[449], "<|tool|>");
  EXPECT_EQ(vocabulary.types[449], TokenType::UserDefined);
  EXPECT_EQ(vocabulary.types[448], TokenType::Unused);
  EXPECT_EQ(vocabulary.added.back().id, 449);
  EXPECT_TRUE(vocabulary.added.back().strips_right);
}

TEST(Vocabulary, ManyTokensAreAddedSoon) {
  const ModelCopy copy("pico-phi3/instruct");
  copy.remove("tokenizer.json");
  constexpr int kMany = 400'000;
  std::string decoder;
  for (int id = 449; id < kMany; ++id) decoder += fmt::format(R"(,"{0}":{{"content":"<{0}>"}})", id);
  copy.write("tokenizer_config.json", "{\"added_tokens_decoder\":{" + decoder.substr(1) + "}}");
  const Vocabulary vocabulary = read(copy.path(), kMany);
  EXPECT_EQ(vocabulary.tokens.back(), "<399999>");
  copy.write("tokenizer_config.json", R"({"added_tokens_decoder":{"2000000":{"content":"x"}}})");
  EXPECT_TRUE(error_in(copy).ends_with("2000000 is not under an id below 2000000"));
}

TEST(Vocabulary, SaysWhatIsWrongBesideTheTokenizer) {
  const auto line = [](const char* file, auto change) {
    const ModelCopy copy("pico-llama/instruct");
    copy.edit(file, change);
    return error_in(copy);
  };
  EXPECT_EQ(line("tokenizer_config.json", [](Json& json) { json["bos_token"] = "<none>"; }),
            "model/tokenizer_config.json: bos_token is \"<none>\", which is no token");
  EXPECT_EQ(line("tokenizer_config.json", [](Json& json) { json["bos_token"] = "<|eot_id|>"; }),
            "model/tokenizer_config.json: bos_token is not the token that the tokenizer puts before text");
  EXPECT_EQ(line("tokenizer_config.json", [](Json& json) { json["add_bos_token"] = 1; }),
            "model/tokenizer_config.json: add_bos_token must be true or false");
  EXPECT_EQ(line("generation_config.json",
                 [](Json& json) {
                   json["eos_token_id"] = {1, 448};
                 }),
            "model/generation_config.json: eos_token_id has 448, and there are 448 tokens");
  EXPECT_EQ(line("generation_config.json", [](Json& json) { json["eos_token_id"] = "x"; }),
            "model/generation_config.json: eos_token_id must be an id of a token, or a list of them");
}

// Who computes a perplexity has no use for it.
TEST(Vocabulary, NeedsNoTemplate) {
  const ModelCopy copy("pico-llama/instruct");
  copy.edit("tokenizer_config.json", [](Json& json) { json["chat_template"] = Json::array(); });
  EXPECT_FALSE(read(copy.path()).tokens.empty());
}

}  // namespace
}  // namespace gyro
