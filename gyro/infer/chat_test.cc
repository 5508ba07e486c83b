#include "gyro/infer/chat.h"

#include <gtest/gtest.h>

#include "gyro/infer/test_util.h"

namespace gyro {
namespace {

using Json = nlohmann::json;

ChatModel open(const std::filesystem::path& path) {
  return open_chat(load_model(path, {.dtype = DType::F32, .threads = 1}));
}

// A conversation becomes the ids that transformers makes of it, and the answer's text is that of its greedy ids.
TEST(Chat, PromptsAndAnswersAreThoseOfTransformers) {
  for (const char* name : {"pico-qwen2", "pico-qwen3moe", "pico-llama", "pico-mistral", "pico-gemma2", "pico-phi3"}) {
    const ChatModel model = open(shipped_model(std::string(name) + "/instruct"));
    const auto path = std::filesystem::path(GYRO_SOURCE_DIR) / "tests/goldens" / name / "instruct-forward.json";
    const Json goldens = Json::parse(read_file(path, size_t{1} << 20));
    EXPECT_EQ(model.ends, goldens.at("eos_ids").get<std::vector<int32_t>>()) << name;
    for (const Json& golden : goldens.at("prompts")) {
      const std::vector<ChatMessage> messages = {{"system", "Please put your final answer within \\boxed{}."},
                                                 {"user", golden.at("question")}};
      EXPECT_EQ(chat_prompt(model, messages), golden.at("ids").get<std::vector<int32_t>>()) << name;
      std::string answer;
      for (const Json& id : golden.at("greedy_ids")) answer += answer_piece(model, id);
      const std::string text = golden.at("greedy_text");  // where control tokens are shown
      EXPECT_FALSE(answer.empty());
      EXPECT_TRUE(text.starts_with(answer) || (" " + text).starts_with(answer)) << name << ": " << answer;
    }
  }
}

// Where in the world it is asked, and when, makes no difference.
TEST(Chat, QuestionsAreAskedOnOneDay) {
  const ModelCopy copy("pico-qwen2/instruct");
  copy.write("chat_template.jinja", "{{ strftime_now('%d %b %Y') }}{{ messages[0].content }}");
  const auto prompt = [&](const char* zone, ForChat what) {
    setenv("TZ", zone, 1);
    tzset();
    const ChatModel model = open_chat(load_model(copy.path(), {.dtype = DType::F32, .threads = 1}), what);
    EXPECT_TRUE(model.chat_template->asks_the_date());
    const std::vector<ChatMessage> messages = {{"user", "!"}};
    return model.chat_template->render(messages, model.context);
  };
  for (const char* zone : {"UTC", "XXX-14", "YYY+12"}) EXPECT_EQ(prompt(zone, ForChat::Questions), "26 Jul 2024!");
  EXPECT_NE(prompt("UTC", ForChat::Conversations), "26 Jul 2024!");
  EXPECT_FALSE(open(shipped_model("pico-qwen2/instruct")).chat_template->asks_the_date());
}

TEST(Chat, PlainTextGetsWhatTheTokenizerPutsBeforeIt) {
  const ChatModel llama = open(shipped_model("pico-llama/base"));
  const std::vector<int32_t> ids = plain_prompt(llama, "a");
  EXPECT_EQ(ids, (std::vector<int32_t>{443, 64}));
  EXPECT_FALSE(llama.chat_template);
  EXPECT_TRUE(error_of([&] { chat_prompt(llama, {}); }).ends_with("pico-llama/base: has no chat template"));
  EXPECT_EQ(llama.context.bos_token, "<|begin_of_text|>");
  EXPECT_FALSE(open(shipped_model("pico-qwen2/base")).context.bos_token);
}

}  // namespace
}  // namespace gyro
