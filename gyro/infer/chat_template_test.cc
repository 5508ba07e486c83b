#include "gyro/infer/chat_template.h"

#include <gtest/gtest.h>

#include <thread>

#include "gyro/checkpoint/checkpoint.h"
#include "gyro/infer/test_util.h"

namespace gyro {
namespace {

using Json = nlohmann::ordered_json;

std::filesystem::path tests() {
  return std::filesystem::path(GYRO_SOURCE_DIR) / "tests";
}
Json read_json(const std::filesystem::path& path) {
  return Json::parse(read_file(path, size_t{1} << 20));
}

std::vector<ChatMessage> conversation(const Json& messages) {
  std::vector<ChatMessage> out;
  for (const Json& message : messages) out.push_back({message.at("role"), message.at("content")});
  return out;
}

// "text" or, where the template raises, what it says.
Json rendering(const ChatTemplate& chat_template, const std::vector<ChatMessage>& messages,
               const ChatContext& context) {
  try {
    return {{"text", chat_template.render(messages, context)}};
  } catch (const Error& error) {
    const std::string mark = "the chat template fails: Jinja Exception: ";
    const std::string& problem = error.problem();
    if (!problem.starts_with(mark)) throw;
    return {{"raises", problem.substr(mark.size())}};
  }
}

// Jinja2 made the goldens, with transformers' settings (tests/chat/make_goldens.py).
TEST(ChatTemplate, WellKnownTemplatesRenderAsJinja2Does) {
  const Json goldens = read_json(tests() / "chat/goldens.json");
  const Json& tokens = goldens.at("tokens");
  ChatContext context{tokens.at("bos_token"), tokens.at("eos_token"), tokens.at("pad_token"), tokens.at("unk_token")};
  context.now = goldens.at("now").get<std::time_t>();
  ASSERT_GE(goldens.at("renderings").size(), 20U);
  for (const auto& [family, expected] : goldens.at("renderings").items()) {
    const std::string text = read_file(tests() / "chat" / (family + ".jinja"), size_t{1} << 20);
    const ChatTemplate chat_template(family, text);
    for (const auto& [name, messages] : goldens.at("conversations").items()) {
      context.add_generation_prompt = false;
      EXPECT_EQ(rendering(chat_template, conversation(messages), context), expected.at(name)) << family << ": " << name;
      context.add_generation_prompt = true;
      EXPECT_EQ(rendering(chat_template, conversation(messages), context), expected.at(name + ", to be continued"))
          << family << ": " << name;
    }
  }
}

constexpr const char* kSystem = "Please put your final answer within \\boxed{}.";  // that of the goldens

TEST(ChatTemplate, ShippedModelsRenderAsTransformersDoes) {
  for (const char* name : {"pico-qwen2", "pico-qwen3moe", "pico-llama", "pico-mistral", "pico-gemma2", "pico-phi3"}) {
    const Json goldens = read_json(tests() / "goldens" / name / "instruct-forward.json").at("prompts");
    const std::optional<std::string> text =
        read_chat_template(Checkpoint(shipped_model(std::string(name) + "/instruct")));
    ASSERT_TRUE(text) << name;
    const Json config = read_json(shipped_model(std::string(name) + "/instruct") / "tokenizer_config.json");
    ChatContext context;
    if (config.at("bos_token").is_string()) context.bos_token = config.at("bos_token").get<std::string>();
    context.eos_token = config.at("eos_token").get<std::string>();
    ASSERT_GE(goldens.size(), 3U);
    for (const Json& prompt : goldens) {
      const std::vector<ChatMessage> messages = {{"system", kSystem}, {"user", prompt.at("question")}};
      EXPECT_EQ(ChatTemplate(name, *text).render(messages, context), prompt.at("rendered").get<std::string>()) << name;
    }
  }
}

TEST(ChatTemplate, BaseModelsHaveNone) {
  EXPECT_FALSE(read_chat_template(Checkpoint(shipped_model("pico-llama/base"))));
}

TEST(ChatTemplate, OfNamedTemplatesTheDefaultCounts) {
  const ModelCopy copy("pico-llama/instruct");
  const auto read = [&] { return read_chat_template(Checkpoint(copy.path())); };
  copy.edit("tokenizer_config.json", [](nlohmann::json& json) {
    json["chat_template"] = {{{"name", "tool_use"}, {"template", "T"}}, {{"name", "default"}, {"template", "D"}}};
  });
  EXPECT_EQ(read(), "D");
  copy.write("chat_template.jinja", "J");
  EXPECT_EQ(read(), "J");
  copy.remove("chat_template.jinja");
  copy.edit("tokenizer_config.json", [](nlohmann::json& json) { json["chat_template"].erase(1); });
  EXPECT_EQ(error_of(read),
            (copy / "tokenizer_config.json").string() + ": chat_template has no template named default");
  copy.edit("tokenizer_config.json", [](nlohmann::json& json) { json.erase("chat_template"); });
  EXPECT_EQ(read(), std::nullopt);
}

#ifndef GYRO_SANITIZED  // whose allocators' locks a child finds as other threads had them
TEST(ChatTemplate, ThreadsRenderTheSameTemplate) {
  const ChatTemplate chat_template("t",
                                   "{% for m in messages %}{{ m.role }}:{{ m.content }};{% endfor %}{{ bos_token }}");
  std::vector<std::thread> threads;
  std::vector<std::string> texts(8);
  for (size_t i = 0; i < texts.size(); ++i) {
    threads.emplace_back([&, i] {
      for (int round = 0; round < 50; ++round) {
        const std::vector<ChatMessage> messages(i, {"user", std::to_string(i)});
        texts[i] = chat_template.render(messages, {});
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(texts[0], "");
  EXPECT_EQ(texts[2], "user:2;user:2;");
}
#endif

TEST(ChatTemplate, SaysWhatIsWrongInOneLine) {
  const auto line = [](const std::string& text) {
    return error_of([&] {
      const std::vector<ChatMessage> messages = {{"user", "x"}};
      ChatTemplate("file", text).render(messages, {});
    });
  };
  EXPECT_EQ(line("{{ raise_exception('Only\\nuser') }}"), "file: the chat template fails: Jinja Exception: Only");
  EXPECT_TRUE(line("{{ messages[0].content | no_such }}").starts_with("file: the chat template fails: Unknown"));
  EXPECT_EQ(line("{% if messages %}"), "file: is no chat template: Unexpected token type");
  EXPECT_TRUE(line("{{ 'open }}").starts_with("file: is no chat template: lexer: "));
  const std::string deep = "file: is nested deeper, or has longer expressions, than a chat template needs";
  EXPECT_EQ(line("{{ " + std::string(100000, '(') + "1"), deep);
  std::string blocks, chain = "{{ 1", elifs = "{% if 0 %}", sets;
  for (int i = 0; i < 50000; ++i) {
    blocks += "{% if 1 %}";
    chain += " + 1";
    elifs += "{% elif 0 %}";
    sets += "{% set x %}";
  }
  EXPECT_EQ(line(blocks), deep);
  EXPECT_EQ(line(chain + " }}"), deep);
  EXPECT_EQ(line(elifs + "{% endif %}"), deep);
  EXPECT_EQ(line(sets), deep);
}

TEST(ChatTemplate, EndsWhatWouldNotEnd) {
  const auto line = [](const std::string& text) {
    return error_of([&] { ChatTemplate("file", text).render({}, {}); });
  };
  const std::string deep =
      "file: the chat template fails: it calls itself without end, or what it makes is nested without end";
  const std::string large = "file: the chat template fails: it takes more memory than texts need";
  const std::string slow = "file: the chat template fails: it takes more than ten seconds";
  // On a machine at work the time may be over first.
  const auto ended = [&](const std::string& text, const std::string& how) {
    const std::string found = line(text);
    return found == how || found == slow;
  };
  EXPECT_TRUE(ended("{% macro f(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}", deep));
  EXPECT_TRUE(ended("{% macro f(g) %}{{ g(g) }}{% endmacro %}{{ f(f) }}", deep)) << "without its name";
  EXPECT_TRUE(ended("{% macro f(x) %}{% call f(x) %}{% endcall %}{% endmacro %}{{ f(1) }}", deep));
  EXPECT_TRUE(ended(
      "{% set n = namespace(x=[]) %}{% for i in range(200000) %}{% set n.x = [n.x] %}{% endfor %}{{ n.x }}", deep));
#ifndef GYRO_SANITIZED  // whose memory is another
  EXPECT_TRUE(ended(
      "{% set n = namespace(x='aaaaaaaa') %}{% for i in range(60) %}{% set n.x = n.x ~ n.x %}{% endfor %}", large));
  EXPECT_TRUE(ended("{% for i in range(10000000000) %}{% endfor %}", large));
  const std::string loop = "{% for i in range(9999) %}";
  EXPECT_EQ(line(loop + loop + loop + "{% endfor %}{% endfor %}{% endfor %}"), slow);
  EXPECT_EQ(line("{% set n = namespace(x='aaaaaaaa') %}{% for i in range(17) %}{% set n.x = n.x ~ n.x %}{% endfor %}"
                 "{% for i in range(17) %}{{ n.x }}{% endfor %}"),
            "file: the chat template fails: its text is longer than any context");
#endif
}

TEST(ChatTemplate, MacrosMayCallThemselves) {
  const std::string text = "{% macro f(n) %}{% if n %}{{ n }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(50) }}";
  EXPECT_TRUE(ChatTemplate("t", text).render({}, {}).starts_with("504948"));
}

}  // namespace
}  // namespace gyro
