#include "gyro/checkpoint/token_texts.h"

#include <gtest/gtest.h>

#include "gyro/base/file.h"
#include "gyro/checkpoint/checkpoint.h"
#include "gyro/checkpoint/test_util.h"

namespace gyro {
namespace {

using Texts = std::map<int64_t, std::string>;

TEST(TokenTexts, BytesAreReadInGpt2sAlphabet) {
  const auto read = [](std::string_view token) { return readable_token(token, TokenWriting::ByteLevel); };
  EXPECT_EQ(read("Ġthe"), " the");
  EXPECT_EQ(read("Ċĉ"), "\n\t");
  EXPECT_EQ(read("Ã©t"), "ét");
  EXPECT_EQ(read("ðŁĺĢ"), "😀");
  EXPECT_EQ(read("Ńł"), "\\xAD\\xA0");        // U+0143 and U+0142: the last two of the others
  EXPECT_EQ(read("ðŁĺ"), "\\xF0\\x9F\\x98");  // the beginning of a character
  EXPECT_EQ(read("日"), "日");                // none of the alphabet: as it stands
  EXPECT_EQ(read("Ġ日"), "Ġ日");
}

TEST(TokenTexts, PiecesHaveMarksForSpacesAndBytes) {
  const auto read = [](std::string_view token) { return readable_token(token, TokenWriting::SentencePiece); };
  EXPECT_EQ(read("▁the"), " the");
  EXPECT_EQ(read("▁▁"), "  ");
  EXPECT_EQ(read("<0x0A>"), "\n");
  EXPECT_EQ(read("<0xE2>"), "\\xE2");
  EXPECT_EQ(read("<0xZZ>"), "<0xZZ>");
  EXPECT_EQ(readable_token("▁a", TokenWriting::Plain), "▁a");
}

class TokenTextsTest : public testing::Test {
 protected:
  Texts texts(const std::string& tokenizer, const std::set<int64_t>& ids = {0, 1, 2, 3}) const {
    write_text(dir / "config.json", R"({"model_type":"llama"})");
    write_tensors(dir / "model.safetensors", {{"w", DType::F32, {1}}});
    write_text(dir / "tokenizer.json", tokenizer);
    return token_texts(Checkpoint(dir.path()), ids);
  }
  TempDir dir;
};

TEST_F(TokenTextsTest, TheWritingFollowsFromTheFile) {
  const std::string vocab = R"("model":{"type":"BPE","vocab":{"Ġa":0,"▁b":1}})";
  const std::string added = R"("added_tokens":[{"id":3,"content":"<Ġ>"}])";
  EXPECT_EQ(texts("{" + vocab + "," + added + R"(,"decoder":{"type":"ByteLevel"}})"),
            (Texts{{0, " a"}, {1, "▁b"}, {3, "<Ġ>"}}));
  EXPECT_EQ(texts("{" + vocab + R"(,"pre_tokenizer":{"type":"Sequence","pretokenizers":[{"type":"ByteLevel"}]}})"),
            (Texts{{0, " a"}, {1, "▁b"}}));
  EXPECT_EQ(texts("{" + vocab + "}"), (Texts{{0, "Ġa"}, {1, " b"}}));
  EXPECT_EQ(texts("{" + vocab + "}", {1, 7}), (Texts{{1, " b"}}));
}

TEST_F(TokenTextsTest, ModelsOfOtherTypesHaveTextsToo) {
  EXPECT_EQ(texts(R"({"model":{"type":"Unigram","vocab":[["<unk>",0],["▁x",-1.5]]}})"),
            (Texts{{0, "<unk>"}, {1, " x"}}));
  EXPECT_EQ(texts(R"({"model":{"type":"WordPiece","vocab":{"##ing":2}}})"), (Texts{{2, "##ing"}}));
}

TEST_F(TokenTextsTest, WhatCannotBeReadHasNone) {
  for (const char* bad :
       {"", "{", "[]", "{}", R"({"model":[]})", R"({"model":{"vocab":7}})", R"({"model":{"vocab":{"a":-1}}})",
        R"({"model":{"vocab":{"a":99999999}}})", R"({"model":{"type":"Unigram","vocab":[[1,2]]}})",
        R"({"model":{"vocab":{"a":0}},"added_tokens":[7]})", "{\"model\":{\"vocab\":{\"\xff\":0}}}"}) {
    EXPECT_TRUE(texts(bad).empty()) << bad;
  }
  std::filesystem::remove(dir / "tokenizer.json");
  EXPECT_TRUE(token_texts(Checkpoint(dir.path()), {0}).empty());
}

}  // namespace
}  // namespace gyro
