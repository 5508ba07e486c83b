#include "gyro/eval/http.h"

#include <curl/curl.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <list>

#include "gyro/base/error.h"

namespace gyro {
namespace {

constexpr double kConnectSeconds = 30;

// CURL and CURLM are both void: what closes a handle is said where it is owned.
template <auto Close>
struct Closer {
  template <typename Handle>
  void operator()(Handle* handle) const {
    Close(handle);
  }
};

// Once, before anything else of curl is called.
void start_curl() {
  static const CURLcode started = curl_global_init(CURL_GLOBAL_DEFAULT);
  if (started != CURLE_OK) fail(ErrorKind::Internal, "curl", "cannot begin: {}", curl_easy_strerror(started));
}

// A part of an address, empty if it has none.
std::string part_of(CURLU* address, CURLUPart part) {
  char* text = nullptr;
  if (curl_url_get(address, part, &text, 0) != CURLUE_OK) return {};
  std::string out = text;
  curl_free(text);
  return out;
}

// One request and what has come of it so far.
struct Transfer {
  size_t name = 0, received = 0;
  HttpRequest request;
  HttpAnswer answer;
  bool too_large = false;
  std::array<char, CURL_ERROR_SIZE> error{};
  std::unique_ptr<curl_slist, Closer<curl_slist_free_all>> headers;
  std::unique_ptr<CURL, Closer<curl_easy_cleanup>> handle;
};

// Whether so many more bytes are to be had.
bool has_room(Transfer& transfer, size_t bytes) {
  transfer.received += bytes;
  transfer.too_large = transfer.too_large || transfer.received > transfer.request.most_bytes;
  return !transfer.too_large;
}

extern "C" size_t take_body(char* data, size_t, size_t bytes, void* to) {
  auto& transfer = *static_cast<Transfer*>(to);
  if (!has_room(transfer, bytes)) return 0;
  transfer.answer.body.append(data, bytes);
  return bytes;
}

// curl keeps what it needs of the head; only its size is ours to watch.
extern "C" size_t take_head(char*, size_t, size_t bytes, void* to) {
  return has_room(*static_cast<Transfer*>(to), bytes) ? bytes : 0;
}

template <typename Value>
void set(const Transfer& transfer, CURLoption option, Value value) {
  const CURLcode code = curl_easy_setopt(transfer.handle.get(), option, value);
  if (code != CURLE_OK) fail(ErrorKind::Internal, "curl", "refuses a setting: {}", curl_easy_strerror(code));
}

void add_header(Transfer& transfer, const std::string& line) {
  curl_slist* list = curl_slist_append(transfer.headers.get(), line.c_str());
  if (list == nullptr) throw std::bad_alloc();
  if (!transfer.headers) transfer.headers.reset(list);  // else it is the same list, longer
}

void set_up(Transfer& transfer) {
  const HttpRequest& request = transfer.request;
  const auto milliseconds = static_cast<long>(1000 * request.seconds);
  set(transfer, CURLOPT_URL, request.url.c_str());
  set(transfer, CURLOPT_PROTOCOLS_STR, "http,https");
  set(transfer, CURLOPT_FOLLOWLOCATION, 0L);  // the key would go with it
  set(transfer, CURLOPT_SSL_VERIFYPEER, 1L);
  set(transfer, CURLOPT_SSL_VERIFYHOST, 2L);
  // Whom to trust instead of the system's authorities, as OpenSSL's own programs have it.
  if (const char* trusted = std::getenv("SSL_CERT_FILE")) set(transfer, CURLOPT_CAINFO, trusted);
  set(transfer, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  set(transfer, CURLOPT_TIMEOUT_MS, milliseconds);
  set(transfer, CURLOPT_CONNECTTIMEOUT_MS, std::min(milliseconds, static_cast<long>(1000 * kConnectSeconds)));
  set(transfer, CURLOPT_QUICK_EXIT, 1L);  // a look-up of a name that hangs is not waited for
  set(transfer, CURLOPT_ERRORBUFFER, transfer.error.data());
  set(transfer, CURLOPT_WRITEFUNCTION, take_body);
  set(transfer, CURLOPT_WRITEDATA, &transfer);
  set(transfer, CURLOPT_HEADERFUNCTION, take_head);
  set(transfer, CURLOPT_HEADERDATA, &transfer);
  set(transfer, CURLOPT_USERAGENT, "gyro");
  add_header(transfer, "Accept: application/json");
  if (!request.bearer.empty()) add_header(transfer, "Authorization: Bearer " + request.bearer);
  if (!request.body.empty()) {
    add_header(transfer, "Content-Type: application/json");
    add_header(transfer, "Expect:");  // the body is sent at once
    set(transfer, CURLOPT_POST, 1L);
    set(transfer, CURLOPT_POSTFIELDS, request.body.c_str());
    set(transfer, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
  }
  set(transfer, CURLOPT_HTTPHEADER, transfer.headers.get());
}

// Whether the same request may do better another time.
bool may_pass(CURLcode code) {
  constexpr std::array kLasting = {CURLE_UNSUPPORTED_PROTOCOL,
                                   CURLE_URL_MALFORMAT,
                                   CURLE_PEER_FAILED_VERIFICATION,
                                   CURLE_SSL_ISSUER_ERROR,
                                   CURLE_SSL_CACERT_BADFILE,
                                   CURLE_SSL_CERTPROBLEM,
                                   CURLE_SSL_CIPHER,
                                   CURLE_SSL_ENGINE_INITFAILED,
                                   CURLE_NOT_BUILT_IN,
                                   CURLE_OUT_OF_MEMORY,
                                   CURLE_WRITE_ERROR};
  return std::ranges::find(kLasting, code) == kLasting.end();
}

std::string text_of(CURL* handle, CURLINFO info) {
  const char* text = nullptr;
  return curl_easy_getinfo(handle, info, &text) == CURLE_OK && text != nullptr ? text : "";
}

void finish(Transfer& transfer, CURLcode code) {
  HttpAnswer& answer = transfer.answer;
  CURL* handle = transfer.handle.get();
  curl_off_t after = 0;
  curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &answer.status);
  if (curl_easy_getinfo(handle, CURLINFO_RETRY_AFTER, &after) == CURLE_OK)
    answer.retry_after = static_cast<double>(after);
  answer.type = text_of(handle, CURLINFO_CONTENT_TYPE);
  answer.location = text_of(handle, CURLINFO_REDIRECT_URL);
  if (code == CURLE_OK) return;
  answer.passing = may_pass(code) && !transfer.too_large;
  if (transfer.too_large) {
    answer.failure = fmt::format("its answer has more than {} bytes", transfer.request.most_bytes);
  } else if (code == CURLE_OPERATION_TIMEDOUT) {
    answer.failure = fmt::format("no whole answer within {:g} seconds", transfer.request.seconds);
  } else {
    answer.failure = printable(transfer.error[0] != 0 ? transfer.error.data() : curl_easy_strerror(code));
  }
}

}  // namespace

struct HttpRequests::State {
  std::unique_ptr<CURLM, Closer<curl_multi_cleanup>> multi;
  std::list<Transfer> transfers;
  ~State() {
    for (const Transfer& transfer : transfers) curl_multi_remove_handle(multi.get(), transfer.handle.get());
  }
};

HttpRequests::HttpRequests() : state_(std::make_unique<State>()) {
  start_curl();
  state_->multi.reset(curl_multi_init());
  if (!state_->multi) throw std::bad_alloc();
}

HttpRequests::~HttpRequests() = default;

void HttpRequests::start(size_t name, const HttpRequest& request) {
  std::list<Transfer> one(1);
  Transfer& transfer = one.front();
  transfer.name = name;
  transfer.request = request;
  transfer.handle.reset(curl_easy_init());
  if (!transfer.handle) throw std::bad_alloc();
  set_up(transfer);
  const CURLMcode code = curl_multi_add_handle(state_->multi.get(), transfer.handle.get());
  if (code != CURLM_OK) fail(ErrorKind::Internal, "curl", "takes no request: {}", curl_multi_strerror(code));
  state_->transfers.splice(state_->transfers.end(), one);
}

size_t HttpRequests::under_way() const {
  return state_->transfers.size();
}

std::vector<std::pair<size_t, HttpAnswer>> HttpRequests::wait(std::chrono::milliseconds most) {
  CURLM* multi = state_->multi.get();
  int running = 0, left = 0;
  CURLMcode code = curl_multi_perform(multi, &running);
  if (code == CURLM_OK && static_cast<size_t>(running) == under_way()) {
    code = curl_multi_poll(multi, nullptr, 0, static_cast<int>(most.count()), nullptr);
    if (code == CURLM_OK) code = curl_multi_perform(multi, &running);
  }
  if (code != CURLM_OK) fail(ErrorKind::Internal, "curl", "cannot go on: {}", curl_multi_strerror(code));
  std::vector<std::pair<size_t, HttpAnswer>> ended;
  while (const CURLMsg* message = curl_multi_info_read(multi, &left)) {
    const auto transfer = std::ranges::find_if(
        state_->transfers, [&](const Transfer& one) { return one.handle.get() == message->easy_handle; });
    finish(*transfer, message->data.result);
    curl_multi_remove_handle(multi, transfer->handle.get());
    ended.emplace_back(transfer->name, std::move(transfer->answer));
    state_->transfers.erase(transfer);
  }
  return ended;
}

std::string http_address(const std::string& text) {
  const std::string subject = "endpoint";
  start_curl();
  const std::unique_ptr<CURLU, Closer<curl_url_cleanup>> address(curl_url());
  if (!address) throw std::bad_alloc();
  if (curl_url_set(address.get(), CURLUPART_URL, text.c_str(), CURLU_NON_SUPPORT_SCHEME) != CURLUE_OK)
    fail_field(subject, "is no address such as http://localhost:8000/v1");
  for (const CURLUPart part : {CURLUPART_USER, CURLUPART_PASSWORD, CURLUPART_OPTIONS}) {
    if (!part_of(address.get(), part).empty())
      fail_field(subject, "has a user or a password in it: a key is taken from OPENAI_API_KEY alone");
  }
  const std::string scheme = part_of(address.get(), CURLUPART_SCHEME);
  if (scheme != "http" && scheme != "https")
    fail_field(subject, "is neither http:// nor https://, such as http://localhost:8000/v1");
  if (text.find('?') != std::string::npos || text.find('#') != std::string::npos)
    fail_field(subject, "has a query or a fragment, to which no path can be added");
  std::string out = part_of(address.get(), CURLUPART_URL);
  while (out.ends_with('/')) out.pop_back();
  return out;
}

}  // namespace gyro
