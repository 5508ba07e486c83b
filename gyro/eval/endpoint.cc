#include "gyro/eval/endpoint.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "gyro/base/error.h"
#include "gyro/base/random.h"
#include "gyro/eval/endpoint_answer.h"
#include "gyro/eval/http.h"

namespace gyro {
namespace {

using Json = nlohmann::ordered_json;
using Clock = std::chrono::steady_clock;

constexpr double kFirstWait = 0.25, kLongestWait = 300;  // seconds
constexpr std::chrono::milliseconds kLook{100};          // how often `stop` is asked
constexpr int kFirstRetries = 3;                         // of the first request: a mistaken address is soon seen
constexpr size_t kShortestSecret = 8;                    // servers that check no key are given such as "EMPTY"

// A server may say the key back, in an error or anywhere else.
std::string without_key(std::string text, const std::string& key) {
  if (key.size() < kShortestSecret) return text;
  for (size_t at = text.find(key); at != std::string::npos; at = text.find(key, at))
    text.replace(at, key.size(), "[key]");
  return text;
}

bool is_passing(long status) {
  return status == 408 || status == 409 || status == 429 || status >= 500;
}

// Throws Error of kind Io for what another try may do better, of kind Input for what it will not.
void check(const Endpoint& endpoint, const HttpAnswer& answer) {
  if (!answer.failure.empty())
    fail(answer.passing ? ErrorKind::Io : ErrorKind::Input, endpoint.url, "{}", answer.failure);
  if (answer.status == 200) return;
  std::string said = fmt::format("HTTP {}", answer.status);
  if (answer.status >= 300 && answer.status < 400) {
    fail(endpoint.url, "{}: leads to {}, where the request does not follow", said,
         answer.location.empty() ? "nowhere" : printable(as_utf8(answer.location)));
  }
  if (const std::string message = server_message(answer.body); !message.empty()) said += ": " + message;
  fail(is_passing(answer.status) ? ErrorKind::Io : ErrorKind::Input, endpoint.url, "{}", said);
}

// Requests that are asked until each has an answer.
struct Questions {
  size_t count = 0;
  size_t at_once = 1;
  std::function<HttpRequest(size_t)> request;
  /// Throws Error of kind Io for an answer to ask for again.
  std::function<Completion(const HttpAnswer&)> read;
  std::function<void(size_t, Completion&&)> sink;
  std::function<bool()> stop;
};

class Asking {
 public:
  Asking(const Endpoint& endpoint, const Questions& questions)
      : endpoint_(endpoint), questions_(questions), tries_(questions.count) {}

  void run() {
    size_t next = 0, ended = 0;
    while (ended < questions_.count) {
      if (questions_.stop && questions_.stop()) return;
      start_due();
      while (next < questions_.count && http_.under_way() + waiting_.size() < questions_.at_once) start(next++);
      for (auto& [i, answer] : http_.wait(until_next())) ended += take(i, std::move(answer));
    }
  }

 private:
  void start(size_t i) {
    ++tries_[i];
    http_.start(i, questions_.request(i));
  }

  void start_due() {
    while (!waiting_.empty() && waiting_.begin()->first <= Clock::now()) {
      const size_t i = waiting_.begin()->second;
      waiting_.erase(waiting_.begin());
      start(i);
    }
  }

  std::chrono::milliseconds until_next() const {
    if (waiting_.empty()) return kLook;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(waiting_.begin()->first - Clock::now());
    return std::clamp(left, std::chrono::milliseconds(0), kLook);
  }

  // Whether that request has its answer now.
  bool take(size_t i, HttpAnswer answer) {
    // Before anything of it is cut short, which would leave a part of the key.
    for (std::string* text : {&answer.body, &answer.location, &answer.failure}) {
      *text = without_key(std::move(*text), endpoint_.key);
    }
    std::optional<Completion> completion;
    try {
      completion = questions_.read(answer);
    } catch (const Error& error) {
      const std::string problem = without_key(error.problem(), endpoint_.key);
      if (error.kind() != ErrorKind::Io) throw Error(endpoint_.url, problem, error.cause());
      if (tries_[i] > endpoint_.retries)
        fail(ErrorKind::Io, endpoint_.url, "no answer in {} tries, at last: {}", tries_[i], problem);
      waiting_.emplace(Clock::now() + wait_before_next(i, answer.retry_after), i);
      return false;
    }
    completion->output = without_key(std::move(completion->output), endpoint_.key);
    questions_.sink(i, std::move(*completion));
    return true;
  }

  // Twice as long each time, less up to a half, so that requests that failed together do not come again together.
  Clock::duration wait_before_next(size_t i, double asked_for) const {
    const int tries = tries_[i];
    const double jitter = Random(mix64(i) ^ static_cast<uint64_t>(tries)).uniform();
    const double own = kFirstWait * std::exp2(std::min(tries - 1, 30)) * (1 - jitter / 2);
    return std::chrono::duration_cast<Clock::duration>(
        std::chrono::duration<double>(std::min(std::max(own, asked_for), kLongestWait)));
  }

  const Endpoint& endpoint_;
  const Questions& questions_;
  std::vector<int> tries_;
  std::multimap<Clock::time_point, size_t> waiting_;  // by when to try again
  HttpRequests http_;
};

std::string dumped(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Json messages_json(const CompletionRequest& request) {
  Json messages = Json::array();
  for (const ChatMessage& message : request.messages)
    messages.push_back({{"role", message.role}, {"content", message.content}});
  return messages;
}

std::string request_body(const Endpoint& endpoint, const CompletionRequest& request, const CompletionOptions& options) {
  const uint64_t seed = mix64(options.sampler.seed ^ mix64(request.stream)) & 0x7fffffff;  // what servers take for one
  return dumped({{"model", endpoint.model},
                 {"messages", messages_json(request)},
                 {"temperature", options.sampler.temperature},
                 {"top_p", options.sampler.top_p},
                 {"max_tokens", options.max_tokens},
                 {"seed", seed},
                 {"stream", false}});
}

HttpRequest http_request(const Endpoint& endpoint, const std::string& path, std::string body) {
  return {.url = endpoint.url + path, .body = std::move(body), .bearer = endpoint.key, .seconds = endpoint.seconds};
}

void complete(const Endpoint& endpoint, std::span<const CompletionRequest> requests, const CompletionOptions& options,
              const CompletionSink& sink) {
  Questions questions;
  questions.count = requests.size();
  questions.at_once = static_cast<size_t>(options.concurrency);
  questions.request = [&](size_t i) {
    return http_request(endpoint, "/chat/completions", request_body(endpoint, requests[i], options));
  };
  questions.read = [&](const HttpAnswer& answer) {
    check(endpoint, answer);
    return read_answer(endpoint.url, answer.body, options.max_tokens);
  };
  questions.sink = [&](size_t i, Completion&& completion) {
    completion.prompt = dumped(messages_json(requests[i]));
    sink(i, completion);
  };
  questions.stop = options.stop;
  Asking(endpoint, questions).run();
}

}  // namespace

std::string endpoint_key() {
  const char* key = std::getenv("OPENAI_API_KEY");
  std::string text = key == nullptr ? "" : key;
  if (!std::ranges::all_of(text, [](char c) { return c > 0x20 && c < 0x7f; }))
    fail("OPENAI_API_KEY", "has a space, a line's end or another character that no key has");
  return text;
}

std::string served_model(Endpoint endpoint, const std::function<bool()>& stop) {
  endpoint.retries = std::min(endpoint.retries, kFirstRetries);
  std::vector<std::string> listed;
  Questions questions;
  questions.count = 1;
  questions.request = [&](size_t) { return http_request(endpoint, "/models", ""); };
  questions.read = [&](const HttpAnswer& answer) {
    const bool lists_none =
        answer.status == 400 || answer.status == 404 || answer.status == 405 || answer.status == 501;
    if (!answer.failure.empty() || !lists_none) check(endpoint, answer);
    if (!lists_none) listed = read_models(answer.body);
    return Completion{};
  };
  questions.sink = [](size_t, Completion&&) {};
  questions.stop = stop;
  Asking(endpoint, questions).run();
  const bool named = std::ranges::find(listed, endpoint.model) != listed.end();
  return named || listed.size() != 1 ? endpoint.model : without_key(listed.front(), endpoint.key);
}

Completer complete_by(Endpoint endpoint) {
  return [endpoint = std::move(endpoint)](std::span<const CompletionRequest> requests, const CompletionOptions& options,
                                          const CompletionSink& sink) { complete(endpoint, requests, options, sink); };
}

}  // namespace gyro
