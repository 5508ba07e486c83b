#include "gyro/infer/tokenizer_json.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "gyro/base/test_util.h"
#include "gyro/infer/pre_tokenizer.h"

namespace gyro {
namespace {

using Json = nlohmann::json;

constexpr const char* kQwenWords =
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|"
    "\\s+(?!\\S)|\\s+";

Json split(const std::string& regex) {
  return {{"type", "Split"}, {"pattern", {{"Regex", regex}}}, {"behavior", "Isolated"}, {"invert", false}};
}

Json byte_level(bool use_regex) {
  return {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", use_regex}};
}

Json sequence(const std::vector<Json>& steps) {
  return {{"type", "Sequence"}, {"pretokenizers", steps}};
}

// Five tokens of a byte-level model, of which two are added.
Json byte_level_file() {
  return {
      {"model", {{"type", "BPE"}, {"vocab", {{"a", 0}, {"b", 1}, {"ab", 2}}}, {"merges", Json::array({"a b"})}}},
      {"added_tokens", Json::array({{{"id", 3}, {"content", "<end>"}, {"special", true}},
                                    {{"id", 4}, {"content", "<tool>"}, {"special", false}, {"rstrip", true}}})},
      {"normalizer", {{"type", "NFC"}}},
      {"pre_tokenizer", sequence({split(kQwenWords), byte_level(false)})},
  };
}

// A model with byte fallback: the bytes at 1 to 256, then a few pieces.
Json sentencepiece_file() {
  Json vocab = {{"<unk>", 0}, {"▁", 257}, {"a", 258}, {"b", 259}, {"ab", 260}, {"▁ab", 261}, {"zz", 262}};
  for (int byte = 0; byte < 256; ++byte) vocab[fmt::format("<0x{:02X}>", byte)] = byte + 1;
  const Json merges = Json::array({Json::array({"a", "b"}), Json::array({"▁", "ab"})});
  return {
      {"model",
       {{"type", "BPE"}, {"byte_fallback", true}, {"unk_token", "<unk>"}, {"vocab", vocab}, {"merges", merges}}},
      {"normalizer",
       {{"type", "Sequence"},
        {"normalizers", Json::array({{{"type", "Prepend"}, {"prepend", "▁"}},
                                     {{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", "▁"}}})}}},
  };
}

Vocabulary parse(const Json& file, const std::optional<std::string>& pre = std::nullopt) {
  return parse_tokenizer_json("file", file.dump(), pre);
}

TEST(TokenizerJson, ByteLevelHasMergesAndAddedTokens) {
  const Vocabulary vocabulary = parse(byte_level_file());
  EXPECT_EQ(vocabulary.model, TokenModel::ByteLevelBpe);
  EXPECT_EQ(vocabulary.pre, "qwen2");
  EXPECT_EQ(vocabulary.tokens, (std::vector<std::string>{"a", "b", "ab", "<end>", "<tool>"}));
  EXPECT_EQ(vocabulary.types[2], TokenType::Normal);
  EXPECT_EQ(vocabulary.types[3], TokenType::Control);
  EXPECT_EQ(vocabulary.types[4], TokenType::UserDefined);
  EXPECT_EQ(vocabulary.merges, std::vector<std::string>{"a b"});
  EXPECT_TRUE(vocabulary.scores.empty());
  EXPECT_TRUE(vocabulary.nfc);
  ASSERT_EQ(vocabulary.added.size(), 2U);
  EXPECT_TRUE(vocabulary.added[0].special);
  EXPECT_FALSE(vocabulary.added[0].strips_right);
  EXPECT_TRUE(vocabulary.added[1].strips_right);
  EXPECT_FALSE(vocabulary.add_bos);
}

TEST(TokenizerJson, MergesAreTakenInBothSpellings) {
  Json file = byte_level_file();
  const Vocabulary text = parse(file);
  file["model"]["merges"] = Json::array({Json::array({"a", "b"})});
  EXPECT_EQ(parse(file).merges, text.merges);
}

TEST(TokenizerJson, SentencePieceScoresFollowMerges) {
  const Vocabulary vocabulary = parse(sentencepiece_file());
  EXPECT_EQ(vocabulary.model, TokenModel::SentencePiece);
  EXPECT_EQ(vocabulary.space_prefix, SpacePrefix::Always);
  EXPECT_EQ(vocabulary.unk, 0);
  EXPECT_EQ(vocabulary.types[0], TokenType::Unknown);
  EXPECT_EQ(vocabulary.types[1], TokenType::Byte);
  EXPECT_EQ(vocabulary.types[257], TokenType::Normal);
  EXPECT_EQ(vocabulary.scores[260], 0);
  EXPECT_EQ(vocabulary.scores[261], -1);
  EXPECT_LT(vocabulary.scores[262], -1e6) << "no merge makes it";
  EXPECT_TRUE(vocabulary.merges.empty());
}

TEST(TokenizerJson, TheTemplateSaysWhatGoesAroundText) {
  Json file = byte_level_file();
  const Json end = {{"SpecialToken", {{"id", "<end>"}, {"type_id", 0}}}};
  const Json text = {{"Sequence", {{"id", "A"}, {"type_id", 0}}}};
  file["post_processor"] = {
      {"type", "Sequence"},
      {"processors", Json::array({byte_level(true),
                                  {{"type", "TemplateProcessing"},
                                   {"single", Json::array({end, text})},
                                   {"special_tokens", {{"<end>", {{"ids", Json::array({3})}}}}}}})}};
  const Vocabulary before = parse(file);
  EXPECT_TRUE(before.add_bos);
  EXPECT_FALSE(before.add_eos);
  EXPECT_EQ(before.bos, 3);
  file["post_processor"]["processors"][1]["single"] = Json::array({text, end});
  const Vocabulary behind = parse(file);
  EXPECT_FALSE(behind.add_bos);
  EXPECT_TRUE(behind.add_eos);
  EXPECT_EQ(behind.eos, 3);
  file["post_processor"]["processors"][1]["single"] = Json::array({end, end, text});
  EXPECT_NE(error_of([&] { parse(file); }).find("more than one token before"), std::string::npos);
}

TEST(TokenizerJson, IdsWithoutATokenAreUnused) {
  Json file = byte_level_file();
  file["model"]["vocab"]["[PAD"] = 7;
  const Vocabulary vocabulary = parse(file);
  ASSERT_EQ(vocabulary.tokens.size(), 8U);
  EXPECT_EQ(vocabulary.types[5], TokenType::Unused);
  EXPECT_EQ(vocabulary.tokens[5], "[PAD_5]");
  EXPECT_EQ(vocabulary.tokens[6], "[PAD_6]");
  EXPECT_EQ(vocabulary.types[7], TokenType::Normal);
}

TEST(TokenizerJson, MetaspaceSaysWhereASpaceIsPut) {
  Json file = sentencepiece_file();
  file["normalizer"] = nullptr;
  file["pre_tokenizer"] = {{"type", "Metaspace"}, {"replacement", "▁"}, {"prepend_scheme", "first"}, {"split", false}};
  EXPECT_EQ(parse(file).space_prefix, SpacePrefix::First);
  file["pre_tokenizer"]["prepend_scheme"] = "always";
  EXPECT_EQ(parse(file).space_prefix, SpacePrefix::WhereMissing);
  file["pre_tokenizer"]["prepend_scheme"] = "never";
  EXPECT_EQ(parse(file).space_prefix, SpacePrefix::None);
  file["pre_tokenizer"]["split"] = true;
  EXPECT_NE(error_of([&] { parse(file); }).find("splits text"), std::string::npos);
}

struct Family {
  std::string name;
  Json pre_tokenizer;
  bool ignore_merges = false;
};

// As the files of these families have them.
std::vector<Family> families() {
  const auto replaced = [](std::string text, const std::string& from, const std::string& to) {
    return text.replace(text.find(from), from.size(), to);
  };
  const std::string llama = replaced(kQwenWords, "\\p{N}|", "\\p{N}{1,3}|");
  const std::string cased =
      "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+CONTR|"
      "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*CONTR|\\p{N}DIGITS| "
      "?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
  const auto cased_with = [&](const std::string& contractions, const std::string& digits) {
    std::string out = replaced(cased, "CONTR", contractions);
    return replaced(replaced(out, "CONTR", contractions), "DIGITS", digits);
  };
  const std::string contractions = "(?i:'s|'t|'re|'ve|'m|'ll|'d)?";
  const Json digits = {{"type", "Digits"}, {"individual_digits", true}};
  const Json inverted = {
      {"type", "Split"}, {"pattern", {{"Regex", kQwenWords}}}, {"behavior", "Removed"}, {"invert", true}};
  return {
      {"qwen2", sequence({split(kQwenWords), byte_level(false)})},
      {"qwen2", sequence({inverted, byte_level(false)})},
      {"llama-bpe", sequence({split(llama), byte_level(false)}), true},
      {"smaug-bpe", sequence({split(llama), byte_level(false)})},
      {"gpt-2", byte_level(true)},
      {"smollm", sequence({digits, byte_level(true)})},
      {"tekken", sequence({split(cased_with("", "")), byte_level(false)}), true},
      {"gpt-4o", sequence({split(cased_with(contractions, "{1,3}")), byte_level(false)})},
      {"deepseek-v3",
       sequence(
           {split("\\p{N}{1,3}"), split("[一-龥぀-ゟ゠-ヿ]+"),
            split("[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+|"
                  " ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+"),
            byte_level(false)})},
      {"deepseek-coder", sequence({split("[\r\n]"), split("\\s?\\p{L}+"), split("\\s?\\p{P}+"),
                                   split("[一-龥ࠀ-一가-퟿]+"), digits, byte_level(false)})},
  };
}

TEST(TokenizerJson, KnowsPreTokenizersByWhatTheyDo) {
  for (const Family& family : families()) {
    Json file = byte_level_file();
    file["pre_tokenizer"] = family.pre_tokenizer;
    file["model"]["ignore_merges"] = family.ignore_merges;
    EXPECT_EQ(parse(file).pre, family.name);
    EXPECT_TRUE(knows_pre_tokenizer(family.name));
  }
}

TEST(TokenizerJson, AnUnknownPreTokenizerIsNamedByTheUser) {
  Json file = byte_level_file();
  file["pre_tokenizer"] = sequence({split("[aeiou]+"), byte_level(false)});
  try {
    parse(file);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.field(), "pre");
    EXPECT_NE(std::string(error.what()).find("split [aeiou]+"), std::string::npos) << error.what();
  }
  EXPECT_EQ(parse(file, "qwen2").pre, "qwen2");
  EXPECT_NE(error_of([&] { parse(file, "qwen9"); }).find("no pre-tokenizer named \"qwen9\""), std::string::npos);
}

TEST(TokenizerJson, SaysWhatIsWrong) {
  const auto error_with = [](Json file, const std::string& pointer, const Json& value) {
    file[Json::json_pointer(pointer)] = value;
    return error_of([&] { parse(file); });
  };
  const Json bytes = byte_level_file();
  const std::vector<std::pair<std::string, std::string>> cases = {
      {error_with(bytes, "/model", nullptr), "file: model is missing"},
      {error_with(bytes, "/model/type", "Unigram"), "file: model.type is \"Unigram\": Gyro runs BPE"},
      {error_with(bytes, "/model/vocab/b", -1), "file: model.vocab has \"b\" without an id from 0 to 1999999"},
      {error_with(bytes, "/model/vocab/b", 0), "file: model.vocab has \"a\" and \"b\" at id 0"},
      {error_with(bytes, "/model/vocab", 3), "file: model.vocab must be an object of ids"},
      {error_with(bytes, "/model/merges/0", "a c"),
       "file: model.merges [0] is of \"a\" and \"c\", which are not tokens or make none"},
      {error_with(bytes, "/model/merges/0", "a b c"), "file: model.merges [0] must be two tokens"},
      {error_with(bytes, "/model/merges/0", Json::array({"a"})), "file: model.merges [0] must be two tokens"},
      {error_with(bytes, "/model/dropout", 0.1), "file: model.dropout is set: its tokens would be random"},
      {error_with(bytes, "/added_tokens/0/content", ""), "file: added_tokens[0].content has an empty token (id 3)"},
      {error_with(bytes, "/added_tokens/0/content", "a"), "file: has the token \"a\" at ids 0 and 3"},
      {error_with(bytes, "/added_tokens/0/id", 2), "file: added_tokens[0].content has \"ab\" and \"<end>\" at id 2"},
      {error_with(bytes, "/added_tokens/0/single_word", true),
       "file: added_tokens[0].single_word is true, which Gyro does not run"},
      {error_with(bytes, "/normalizer/type", "Lowercase"),
       "file: normalizer.type is \"Lowercase\" in a form that Gyro does not run"},
      {error_with(bytes, "/pre_tokenizer", nullptr),
       "file: is neither byte-level nor with byte_fallback: Gyro runs byte-level BPE, and BPE with byte_fallback"},
      {error_with(bytes, "/post_processor", {{"type", "RobertaProcessing"}}),
       "file: post_processor.type is \"RobertaProcessing\", which Gyro does not run"},
  };
  for (const auto& [line, expected] : cases) EXPECT_EQ(line, expected);
  Json lacking = sentencepiece_file();
  lacking["model"]["vocab"].erase("<0x41>");
  EXPECT_EQ(error_of([&] { parse(lacking); }), "file: model.vocab lacks <0x41>, although byte_fallback is true");
  EXPECT_NE(error_of([] { parse_tokenizer_json("file", "{", std::nullopt); }).find("not valid JSON"),
            std::string::npos);
}

}  // namespace
}  // namespace gyro
