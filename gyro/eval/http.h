#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace gyro {

/// A request over http or https. Redirects are not followed; certificates are verified, against the system's
/// authorities or the file that SSL_CERT_FILE names; proxies are taken from the environment as curl takes them.
struct HttpRequest {
  std::string url;
  std::string body;                     ///< JSON to post; empty: a GET
  std::string bearer;                   ///< the key that goes with it; empty for none
  double seconds = 600;                 ///< within which all of the answer must have come
  size_t most_bytes = size_t{1} << 24;  ///< of head and body of the answer
};

struct HttpAnswer {
  long status = 0;  ///< 0 if there was none
  std::string type, body;
  std::string location;    ///< where a redirect leads
  double retry_after = 0;  ///< seconds; 0 where the server says nothing of it
  std::string failure;     ///< why no whole answer came, in a line; empty if one came
  bool passing = false;    ///< of a failure: it may be another time, as of a network or a server that is busy
};

/// Checks the address of a server, http://host[:port][/path] or https://..., and gives it without slashes at its end.
/// Throws Error, the field "endpoint", for any other: one with a user, password, query or fragment, which is not
/// repeated in the message, as it may be a secret.
std::string http_address(const std::string& text);

/// Requests that are under way, all on the calling thread.
class HttpRequests {
 public:
  HttpRequests();
  HttpRequests(const HttpRequests&) = delete;
  HttpRequests& operator=(const HttpRequests&) = delete;
  ~HttpRequests();

  /// `name` is what `wait` tells it by. Throws Error if it cannot even begin.
  void start(size_t name, const HttpRequest& request);
  size_t under_way() const;
  /// Works on them for as long as that at most, and gives those that have ended.
  std::vector<std::pair<size_t, HttpAnswer>> wait(std::chrono::milliseconds most);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace gyro
