#include "gyro/infer/tokenizer_model.h"

#include <gtest/gtest.h>

#include "gyro/infer/test_util.h"

namespace gyro {
namespace {

std::string model_bytes() {
  return read_file(shipped_model("pico-mistral/base") / "tokenizer.model", size_t{1} << 20);
}

// A field of bytes, and one number.
std::string field(int number, std::string_view bytes) {
  std::string out(1, static_cast<char>(number << 3 | 2));
  EXPECT_LT(bytes.size(), 128U);
  return out + static_cast<char>(bytes.size()) + std::string(bytes);
}
std::string number_field(int number, int value) {
  return {static_cast<char>(number << 3), static_cast<char>(value)};
}

std::string error_in(const std::string& bytes) {
  return error_of([&] { parse_tokenizer_model("file", bytes); });
}

TEST(TokenizerModel, ReadsPiecesAndIds) {
  const Vocabulary vocabulary = parse_tokenizer_model("file", model_bytes());
  EXPECT_EQ(vocabulary.tokens.size(), 448U);
  EXPECT_EQ(vocabulary.tokens[261], "▁a");
  EXPECT_EQ(vocabulary.scores[262], -2);
  EXPECT_EQ(vocabulary.types[0], TokenType::Unknown);
  EXPECT_EQ(vocabulary.types[3], TokenType::UserDefined);
  EXPECT_EQ(vocabulary.types[4], TokenType::Byte);
  EXPECT_EQ(vocabulary.unk, 0);
  EXPECT_EQ(vocabulary.bos, 1);
  EXPECT_EQ(vocabulary.eos, 2);
  EXPECT_FALSE(vocabulary.pad) << "-1 in the file";
}

TEST(TokenizerModel, EveryTruncationIsAnError) {
  const std::string bytes = model_bytes();
  for (size_t size = 0; size < bytes.size(); size += size < 200 ? 1 : 97) {
    EXPECT_TRUE(error_in(bytes.substr(0, size)).starts_with("file: ")) << size;
  }
}

// Later fields stand for earlier ones, as in protobuf: what is appended changes one thing of the whole file.
TEST(TokenizerModel, SaysWhatItDoesNotRun) {
  const std::string bytes = model_bytes();
  EXPECT_EQ(error_in(bytes + field(2, number_field(3, 1))), "file: is a unigram model: Gyro runs BPE");
  const std::string bpe = field(2, number_field(3, 2));
  const std::string changes =
      "file: changes text in ways that Gyro does not run (characters mapped, or spaces removed)";
  EXPECT_EQ(error_in(bytes + field(3, number_field(4, 1))), changes);
  EXPECT_EQ(error_in(bytes + field(3, field(2, "map") + number_field(4, 0))), changes);
  EXPECT_EQ(error_in(bytes + field(1, field(1, "▁a"))), "file: has the piece \"▁a\" twice");
  EXPECT_EQ(error_in(bytes + field(1, field(1, ""))), "file: piece 448 is empty or has a zero byte");
  EXPECT_EQ(error_in(bytes + field(1, field(1, "new") + number_field(3, 9))),
            "file: piece 448 is of the unknown type 9");
  EXPECT_EQ(error_in(field(1, field(1, "a")) + bpe + field(3, number_field(4, 0))),
            "file: lacks the piece <0x00>: Gyro runs models with byte fallback");
  EXPECT_EQ(error_in(""), "file: is no SentencePiece model: it has no pieces");
  EXPECT_EQ(error_in("{\"version\": 1}"), "file: is no SentencePiece model, or is cut off");
}

}  // namespace
}  // namespace gyro
