#include "gyro/infer/tokenize.h"

#include <gguf.h>
#include <gtest/gtest.h>
#include <llama.h>

#include <memory>

#include "gyro/checkpoint/checkpoint.h"
#include "gyro/infer/deep_stack.h"
#include "gyro/infer/test_util.h"

namespace gyro {
namespace {

using Json = nlohmann::json;

// llama.cpp's tokenizer made of a vocabulary, without a model.
class Tokenizer {
 public:
  explicit Tokenizer(Vocabulary of) : vocabulary(std::move(of)) {
    const std::unique_ptr<gguf_context, decltype(&gguf_free)> gguf(gguf_init_empty(), gguf_free);
    gguf_set_val_str(gguf.get(), "general.architecture", "llama");
    set_keys(gguf.get(), vocabulary);
    const std::string path = folder_ / "vocabulary.gguf";
    EXPECT_TRUE(gguf_write_to_file(gguf.get(), path.c_str(), true));
    llama_log_set([](ggml_log_level, const char*, void*) {}, nullptr);
    llama_model_params params = llama_model_default_params();
    params.vocab_only = true;
    model_.reset(llama_model_load_from_file(path.c_str(), params));
    EXPECT_NE(model_, nullptr);
  }

  const llama_vocab* vocab() const { return llama_model_get_vocab(model_.get()); }
  std::vector<int32_t> operator()(std::string_view text, SpecialTokens special = SpecialTokens::None) const {
    return tokenize(vocab(), &vocabulary, text, special);
  }
  std::string text_of(const std::vector<int32_t>& ids) const {
    std::string out;
    for (const int32_t id : ids) out += piece(vocab(), id, ControlTokens::Shown);
    return out;
  }

  Vocabulary vocabulary;

 private:
  TempDir folder_;
  std::unique_ptr<llama_model, decltype(&llama_model_free)> model_{nullptr, llama_model_free};
};

Vocabulary vocabulary_of(const std::filesystem::path& folder) {
  return read_vocabulary(Checkpoint(folder), std::nullopt, 448);
}

class Goldens : public testing::TestWithParam<const char*> {};

TEST_P(Goldens, IdsAreThoseOfTransformers) {
  const std::string name = GetParam();
  const Json goldens =
      Json::parse(read_file(std::filesystem::path(GYRO_SOURCE_DIR) / "tests/goldens/tokens.json", size_t{1} << 20));
  const Tokenizer tokenizer(vocabulary_of(shipped_model(name + "/instruct")));
  ASSERT_GE(goldens.at(name).size(), 14U);
  for (const Json& golden : goldens.at(name)) {
    const auto ids = golden.at("ids").get<std::vector<int32_t>>();
    EXPECT_EQ(tokenizer(golden.at("text").get<std::string>()), ids) << golden.at("text");
    const std::string decoded = golden.at("decoded").get<std::string>();
    const std::string text = tokenizer.text_of(ids);
    // Decoding takes away the space that encoding put before the text.
    EXPECT_TRUE(text == decoded || text == " " + decoded) << text;
  }
}

INSTANTIATE_TEST_SUITE_P(Families, Goldens,
                         testing::Values("pico-qwen2", "pico-llama", "pico-mistral", "pico-gemma2", "pico-phi3"),
                         [](const auto& family) { return std::string(family.param).substr(5); });

TEST(Tokenize, TokenizerModelGivesTheSameIds) {
  for (const char* name : {"pico-mistral", "pico-gemma2", "pico-phi3"}) {
    const ModelCopy copy(std::string(name) + "/instruct");
    const Tokenizer json(vocabulary_of(copy.path()));
    copy.remove("tokenizer.json");
    const Tokenizer model(vocabulary_of(copy.path()));
    for (const char* text : {"  two  spaces ", "12345 + 678 = 13023.", "naïve — “quotes” … €5 ½", "\ttab\r\nCRLF"}) {
      EXPECT_EQ(model(text), json(text)) << name << text;
    }
  }
}

TEST(Tokenize, PlainTextGetsWhatTheTokenizerAdds) {
  Vocabulary vocabulary = vocabulary_of(shipped_model("pico-llama/instruct"));
  vocabulary.add_eos = true;
  const Tokenizer tokenizer(std::move(vocabulary));
  const std::vector<int32_t> plain = tokenizer("one", SpecialTokens::None);
  std::vector<int32_t> around = tokenizer("one", SpecialTokens::AsConfigured);
  ASSERT_EQ(around.size(), plain.size() + 2);
  EXPECT_EQ(around.front(), 443);
  EXPECT_EQ(around.back(), 447);
  EXPECT_EQ(tokenizer("", SpecialTokens::AsConfigured), (std::vector<int32_t>{443, 447}));
}

TEST(Tokenize, AddedTokensTakeTheSpaceThatTheySay) {
  Vocabulary vocabulary = vocabulary_of(shipped_model("pico-llama/instruct"));
  const Tokenizer as_is(vocabulary);
  for (AddedToken& token : vocabulary.added) token.strips_left = token.strips_right = true;
  const Tokenizer strips(vocabulary);
  EXPECT_EQ(strips("a \n<|eot_id|>\t b"), as_is("a<|eot_id|>b"));
  EXPECT_NE(as_is("a \n<|eot_id|>\t b"), as_is("a<|eot_id|>b"));
}

TEST(Tokenize, OfTwoAddedTokensTheLongerCounts) {
  Vocabulary vocabulary = vocabulary_of(shipped_model("pico-llama/instruct"));
  vocabulary.tokens[446] = "<|eot_id|>!";
  EXPECT_EQ(Tokenizer(vocabulary)("<|eot_id|>!<|eot_id|>"), (std::vector<int32_t>{446, 447}));
}

TEST(Tokenize, SpacePrefixIsPutWhereItBelongs) {
  Vocabulary vocabulary = vocabulary_of(shipped_model("pico-phi3/instruct"));
  const auto ids = [&](SpacePrefix prefix, const char* text) {
    vocabulary.space_prefix = prefix;
    return Tokenizer(vocabulary)(text);
  };
  const auto bare = [&](const char* text) { return ids(SpacePrefix::None, text); };
  EXPECT_EQ(ids(SpacePrefix::Always, "the<|end|> the"), bare(" the<|end|>  the"));
  EXPECT_EQ(ids(SpacePrefix::WhereMissing, "the<|end|> the<|end|>the"), bare(" the<|end|> the<|end|> the"));
  EXPECT_EQ(ids(SpacePrefix::First, "the<|end|>the"), bare(" the<|end|>the"));
  EXPECT_EQ(ids(SpacePrefix::First, "<|end|>the"), bare("<|end|>the"));
}

TEST(Tokenize, ControlTokensCanBeHidden) {
  const Tokenizer tokenizer(vocabulary_of(shipped_model("pico-llama/instruct")));
  EXPECT_EQ(piece(tokenizer.vocab(), 447, ControlTokens::Shown), "<|eot_id|>");
  EXPECT_EQ(piece(tokenizer.vocab(), 447, ControlTokens::Hidden), "");
  EXPECT_EQ(piece(tokenizer.vocab(), 64, ControlTokens::Hidden), "a");
}

TEST(Tokenize, TextThatIsNotUtf8IsAnError) {
  const Tokenizer tokenizer(vocabulary_of(shipped_model("pico-llama/base")));
  EXPECT_EQ(error_of([&] { tokenizer("ab\xC3("); }), "text: is not UTF-8 at byte 2");
  EXPECT_EQ(error_of([&] { tokenizer("\xED\xA0\x80"); }), "text: is not UTF-8 at byte 0");
}

// std::regex, by which llama.cpp runs these, recurses with every character.
TEST(Tokenize, LongStretchesAreSplitAllTheSame) {
  Vocabulary vocabulary = vocabulary_of(shipped_model("pico-llama/base"));
  for (const char* pre : {"tekken", "gpt-4o", "deepseek-v3", "deepseek-coder", "bloom", "superbpe", "exaone-moe"}) {
    vocabulary.pre = pre;
    const Tokenizer tokenizer(vocabulary);
    for (const std::string& piece : std::vector<std::string>{"a", "B", "aB", "!", "中", " ", "a ", " \u3000"}) {
      std::string text;
      while (text.size() < 200'000) text += piece;
      EXPECT_EQ(tokenizer.text_of(tokenizer(text)), text) << pre << piece;
    }
    // Long or short, a word has the same tokens: those of its halves where it is longer.
    const std::vector<int32_t> half = tokenizer(std::string(600, 'x') + ' '),
                               whole = tokenizer(std::string(1200, 'x') + ' ');
    EXPECT_EQ(whole.size(), 2 * half.size() - 1) << pre;
  }
}

TEST(Tokenize, StretchesBeyondTheLimitAreRefused) {
  const Tokenizer tokenizer(vocabulary_of(shipped_model("pico-llama/base")));
  EXPECT_EQ(error_of([&] { tokenizer(std::string(1'000'001, 'a')); }),
            "text: has 1000001 characters without white space between them, or of nothing else: 1000000 are the most");
  EXPECT_FALSE(tokenizer(std::string(1'000'000, 'a')).empty());
}

TEST(LongestStretch, CountsCharacters) {
  EXPECT_EQ(longest_stretch("", MatchSpan::Run), 0U);
  EXPECT_EQ(longest_stretch("ab  é中x y", MatchSpan::Run), 3U);
  EXPECT_EQ(longest_stretch("ab \u3000\u00a0\t\n\r c", MatchSpan::Run), 7U);
  EXPECT_EQ(longest_stretch("ab c\nd", MatchSpan::Line), 4U);
}

// A file may hold as many tokens as ids go, all alike at first.
TEST(Tokenize, ManyAddedTokensAreFoundSoon) {
  Vocabulary vocabulary = vocabulary_of(shipped_model("pico-llama/base"));
  const auto first = static_cast<int32_t>(vocabulary.tokens.size());
  for (int32_t i = 0; i < 200'000; ++i) {
    vocabulary.tokens.push_back(fmt::format("<{}", 1000000 + i));
    vocabulary.types.push_back(TokenType::Control);
    vocabulary.added.push_back({first + i, false, false, true});
  }
  const Tokenizer tokenizer(std::move(vocabulary));
  std::string text;
  for (int i = 0; i < 1000; ++i) text += "<<<1199999";
  const std::vector<int32_t> ids = tokenizer(text);
  EXPECT_EQ(std::ranges::count(ids, first + 199'999), 1000);
}

}  // namespace
}  // namespace gyro
