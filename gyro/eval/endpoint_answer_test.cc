#include "gyro/eval/endpoint_answer.h"

#include <gtest/gtest.h>

#include <string>

#include "gyro/base/test_util.h"

namespace gyro {
namespace {

Completion read(const std::string& body) {
  return read_answer("server", body, 100);
}

// An answer with one choice: its end, its message, and what usage says.
std::string body_of(const std::string& finish, const std::string& message, const std::string& usage = "null") {
  return R"({"id": "x", "choices": [{"index": 0, "finish_reason": )" + finish + R"(, "message": )" + message +
         R"(}, 3], "usage": )" + usage + "}";
}

std::string with_tokens(const std::string& tokens) {
  return body_of("\"stop\"", R"({"content": "a"})", "{\"completion_tokens\": " + tokens + "}");
}

std::string problem(const std::string& body) {
  const std::string line = error_of([&] { read(body); });
  EXPECT_EQ(line.find('\n'), line.npos);
  return line;
}

TEST(ReadAnswer, TextEndAndLength) {
  Completion answer = read(body_of("\"stop\"", R"({"role": "assistant", "content": "f\u00fcnf \u0000"})",
                                   R"({"completion_tokens": 7, "prompt_tokens": -3})"));
  EXPECT_EQ(answer.output, std::string("f\u00fcnf \0", 7));
  EXPECT_EQ(answer.tokens, 7);
  EXPECT_FALSE(answer.cut);
  answer = read(body_of("\"length\"", R"({"content": null})"));
  EXPECT_EQ(answer.output, "");
  EXPECT_EQ(answer.tokens, kUnknownTokens);
  EXPECT_TRUE(answer.cut);
  EXPECT_FALSE(read(body_of("\"eos\"", "{}")).cut);
}

TEST(ReadAnswer, ThinkingComesBefore) {
  EXPECT_EQ(read(body_of("\"stop\"", R"({"reasoning_content": "r", "content": "a"})")).output, "<think>r</think>a");
  EXPECT_EQ(read(body_of("\"stop\"", R"({"reasoning": "r", "content": "a"})")).output, "<think>r</think>a");
  EXPECT_EQ(read(body_of("\"stop\"", R"({"reasoning_content": "r", "reasoning": "r"})")).output, "<think>r</think>");
  EXPECT_EQ(read(body_of("\"length\"", R"({"reasoning_content": "r", "content": null})")).output, "<think>r")
      << "it was cut within its thinking";
  EXPECT_EQ(read(body_of("\"length\"", R"({"reasoning_content": "r", "content": "a"})")).output, "<think>r</think>a");
  EXPECT_EQ(read(body_of("\"stop\"", R"({"reasoning_content": "", "reasoning": null, "content": "a"})")).output, "a");
}

TEST(ReadAnswer, OtherEndsAreErrors) {
  for (const char* finish : {R"("content_filter")", R"("tool_calls")", R"("abort")"}) {
    EXPECT_EQ(problem(body_of(finish, R"({"content": "a"})")),
              fmt::format("server: an answer ended by {}, not by itself or at its limit", finish));
  }
  EXPECT_TRUE(contains(problem(body_of("null", R"({"content": "a"})")), "finish_reason"));
  EXPECT_EQ(problem(body_of("3", "{}")), "server: the answer's finish_reason is no text");
}

TEST(ReadAnswer, LengthsThatCannotBe) {
  EXPECT_EQ(read(with_tokens("116")).tokens, 116) << "some count what begins and ends an answer";
  EXPECT_EQ(read(with_tokens("null")).tokens, kUnknownTokens);
  for (const char* lie : {"117", "-1", "1.5", "\"7\"", "true", "[[7]]", "1e300", "18446744073709551615", "{}"}) {
    EXPECT_EQ(problem(with_tokens(lie)).find("server: says that an answer of at most 100 tokens has "), 0U) << lie;
  }
  EXPECT_TRUE(contains(problem(with_tokens("0")), "with a text has 0 tokens"));
  EXPECT_EQ(read(body_of("\"stop\"", "{}", R"({"completion_tokens": 0})")).tokens, 0);
}

ErrorKind kind_of(const std::string& body) {
  try {
    read(body);
  } catch (const Error& error) {
    return error.kind();
  }
  return ErrorKind::Internal;
}

// Another try may bring all of what ends too early, and no other.
TEST(ReadAnswer, KnowsWhatEndsTooEarly) {
  const std::string whole = body_of("\"stop\"", R"({"content": "a \u00e9 é"})", R"({"completion_tokens": 12})");
  for (size_t size = 0; size < whole.size(); ++size)
    EXPECT_EQ(kind_of(whole.substr(0, size)), ErrorKind::Io) << whole.substr(0, size);
  EXPECT_EQ(kind_of(" \n"), ErrorKind::Io);
  for (const std::string& bad : {std::string("<html>busy</html>"), std::string("data: {}"), whole + "}", whole + '\0',
                                 std::string("{\"a\": \xff}"), std::string("[1e999]")}) {
    EXPECT_EQ(kind_of(bad), ErrorKind::Input) << bad;
    EXPECT_EQ(problem(bad).find("server: the answer is not JSON: "), 0U) << bad;
  }
}

TEST(ReadAnswer, OtherThanAnAnswer) {
  for (const char* body : {"{}", "[]", "3", R"({"choices": []})", R"({"choices": {"a": 1}})", R"({"choices": [3]})"})
    EXPECT_EQ(problem(body), "server: the answer has no choices: it is none of the chat completions API") << body;
  EXPECT_EQ(problem(R"({"choices": [{"finish_reason": "stop"}]})"), "server: the answer's choice has no message");
  EXPECT_EQ(problem(body_of("\"stop\"", R"({"content": [{"type": "text"}]})")),
            "server: the answer's content is no text");
  EXPECT_EQ(problem(R"({"error": {"message": "no\nroom", "code": 500}})"), "server: no?room");
  EXPECT_EQ(problem(std::string(1 << 20, '[')), "server: the answer is JSON nested deeper than 64 levels");
}

TEST(ServerMessage, OfEveryForm) {
  EXPECT_EQ(server_message(R"({"error": {"message": "a", "type": "b"}})"), "a");
  EXPECT_EQ(server_message(R"({"error": "a"})"), "a");
  EXPECT_EQ(server_message(R"({"object": "error", "message": "a"})"), "a");
  EXPECT_EQ(server_message(R"({"detail": [{"loc": "b"}]})"), R"([{"loc":"b"}])");
  EXPECT_EQ(server_message("\n <h1>Bad\tgateway</h1>\xff"), "<h1>Bad?gateway</h1>\uFFFD");
  EXPECT_EQ(server_message(""), "");
  EXPECT_LT(server_message(std::string(1 << 20, 'x')).size(), 400U);
  std::string deep;
  for (int i = 0; i < 100'000; ++i) deep += "{\"error\":";
  EXPECT_LT(server_message(deep).size(), 400U);
}

TEST(ReadModels, IdsOfAList) {
  EXPECT_EQ(read_models(R"({"data": [{"id": "a"}, {"id": 3}, 4, {"id": "b"}]})"), (std::vector<std::string>{"a", "b"}));
  for (const char* body : {"", "x", "[]", "{}", R"({"data": {"id": "a"}})"})
    EXPECT_TRUE(read_models(body).empty()) << body;
}

}  // namespace
}  // namespace gyro
