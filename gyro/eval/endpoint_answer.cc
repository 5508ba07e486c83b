#include "gyro/eval/endpoint_answer.h"

#include <nlohmann/json.hpp>
#include <optional>

#include "gyro/base/error.h"

namespace gyro {
namespace {

using Json = nlohmann::json;

constexpr size_t kShown = 160;         // bytes of what a server sent
constexpr int64_t kTokensBeyond = 16;  // some count what begins and ends an answer
constexpr std::string_view kSpace = " \t\r\n";
constexpr int kDeepest = 64;  // levels of JSON: what goes through it calls itself

Json parse(const std::string& subject, std::string_view body) {
  if (body.find_first_not_of(kSpace) == body.npos) fail(ErrorKind::Io, subject, "the answer's body is empty");
  const auto bounded = [&](int depth, Json::parse_event_t, const Json&) {
    if (depth > kDeepest) fail(subject, "the answer is JSON nested deeper than {} levels", kDeepest);
    return true;
  };
  // The parser takes a zero byte for the end of the text.
  const bool zero = body.find('\0') != body.npos;
  try {
    if (!zero) return Json::parse(body, bounded);
  } catch (const Json::parse_error& error) {
    if (error.byte > body.size()) fail(ErrorKind::Io, subject, "the answer's JSON ends after {} bytes", body.size());
  } catch (const Json::exception&) {  // a number that no double holds
  }
  fail(subject, "the answer is not JSON: {}", printable(as_utf8(std::string(body.substr(0, kShown))), kShown));
}

// Discarded for what `parse` refuses.
Json parse_if_any(std::string_view body) {
  try {
    return parse("answer", body);
  } catch (const Error&) {
    return Json(Json::value_t::discarded);
  }
}

const Json* member(const Json& json, const char* name) {
  if (!json.is_object()) return nullptr;
  const auto at = json.find(name);
  return at == json.end() || at->is_null() ? nullptr : &*at;
}

// Empty where there is none.
std::string text_at(const std::string& subject, const Json& json, const char* name) {
  const Json* text = member(json, name);
  if (text == nullptr) return {};
  if (!text->is_string()) fail(subject, "the answer's {} is no text", name);
  return text->get<std::string>();
}

const Json& choice_of(const std::string& subject, const Json& json) {
  if (const Json* error = member(json, "error")) fail(subject, "{}", server_message(Json{{"error", *error}}.dump()));
  const Json* choices = member(json, "choices");
  if (choices == nullptr || !choices->is_array() || choices->empty() || !choices->front().is_object())
    fail(subject, "the answer has no choices: it is none of the chat completions API");
  return choices->front();
}

bool was_cut(const std::string& subject, const Json& choice) {
  const std::string reason = text_at(subject, choice, "finish_reason");
  if (reason == "length") return true;
  if (reason == "stop" || reason == "eos") return false;
  if (reason.empty()) fail(subject, "the answer does not say why it ended (finish_reason)");
  fail(subject, "an answer ended by \"{}\", not by itself or at its limit", printable(reason, kShown));
}

std::string output_of(const std::string& subject, const Json& choice, bool cut) {
  const Json* message = member(choice, "message");
  if (message == nullptr || !message->is_object()) fail(subject, "the answer's choice has no message");
  std::string content = text_at(subject, *message, "content");
  std::string thinking = text_at(subject, *message, "reasoning_content");
  if (thinking.empty()) thinking = text_at(subject, *message, "reasoning");
  if (thinking.empty()) return content;
  return "<think>" + thinking + (cut && content.empty() ? "" : "</think>") + content;
}

int64_t length_of(const std::string& subject, const Json& json, bool empty, int64_t max_tokens) {
  const Json* usage = member(json, "usage");
  const Json* tokens = usage == nullptr ? nullptr : member(*usage, "completion_tokens");
  if (tokens == nullptr) return kUnknownTokens;
  const std::string said = printable(tokens->dump(-1, ' ', true, Json::error_handler_t::replace), 40);
  const auto most = static_cast<uint64_t>(max_tokens + kTokensBeyond);
  if (!tokens->is_number_unsigned() || tokens->get<uint64_t>() > most)
    fail(subject, "says that an answer of at most {} tokens has {} (usage.completion_tokens)", max_tokens, said);
  if (!empty && tokens->get<uint64_t>() == 0)
    fail(subject, "says that an answer with a text has 0 tokens (usage.completion_tokens)");
  return tokens->get<int64_t>();
}

// {"error": {"message": ...}}, {"error": ...}, {"message": ...}, {"detail": ...}: as the servers have it.
std::optional<std::string> said_in(const Json& json) {
  for (const char* name : {"error", "message", "detail"}) {
    const Json* value = member(json, name);
    if (value == nullptr) continue;
    if (value->is_string()) return value->get<std::string>();
    if (auto inner = said_in(*value)) return inner;
    return value->dump(-1, ' ', false, Json::error_handler_t::replace);
  }
  return std::nullopt;
}

}  // namespace

Completion read_answer(const std::string& subject, std::string_view body, int64_t max_tokens) {
  const Json json = parse(subject, body);
  const Json& choice = choice_of(subject, json);
  Completion out;
  out.cut = was_cut(subject, choice);
  out.output = output_of(subject, choice, out.cut);
  out.tokens = length_of(subject, json, out.output.empty(), max_tokens);
  return out;
}

std::vector<std::string> read_models(std::string_view body) {
  const Json json = parse_if_any(body);
  const Json* list = member(json, "data");
  std::vector<std::string> out;
  if (list == nullptr || !list->is_array()) return out;
  for (const Json& model : *list) {
    const Json* id = member(model, "id");
    if (id != nullptr && id->is_string()) out.push_back(id->get<std::string>());
  }
  return out;
}

std::string server_message(std::string_view body) {
  const std::optional<std::string> said = said_in(parse_if_any(body));
  const size_t begin = std::min(body.find_first_not_of(kSpace), body.size());
  return printable(as_utf8(said ? *said : std::string(body.substr(begin, 2 * kShown))), 2 * kShown);
}

}  // namespace gyro
