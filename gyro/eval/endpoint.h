#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "gyro/eval/completion.h"

namespace gyro {

/// A server of the chat completions API, and which of its models is asked.
struct Endpoint {
  std::string url;  ///< as `http_address` gives it: POST {url}/chat/completions
  std::string model;
  std::string key;       ///< goes to that server alone; is taken out of every text that comes from there
  double seconds = 600;  ///< within which an answer must have come
  int retries = 8;       ///< how often a request is tried again, after 0.25 s and then twice as long each time
};

/// The key in OPENAI_API_KEY; empty if there is none. Throws Error, without the value, for what no header can hold.
std::string endpoint_key();

/// The id by which the server lists the model, where it does: the model's own name, or that of the only one that it
/// has (which some servers take whatever name is asked for); else the name. Throws Error as the completer does.
/// `stop` ends it with the name. Tried again three times at most.
std::string served_model(Endpoint endpoint, const std::function<bool()>& stop);

/// Answers by that server, as many requests under way as `concurrency`. The messages go as they are and the server
/// renders them; Completion::prompt is their JSON text.
///
/// Tried again, the longer of the growing wait and what Retry-After says (at most 5 minutes) later: a request that met
/// no server, no whole answer in time, or 408, 409, 429 or 5xx. Throws Error naming the url once its tries are over
/// (kind Io), and at once for any other answer that is none, with what the server says of it.
Completer complete_by(Endpoint endpoint);

}  // namespace gyro
