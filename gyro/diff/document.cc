#include "gyro/diff/document.h"

#include "gyro/base/error.h"

namespace gyro {
namespace {

constexpr size_t kMaxDepth = 32;
constexpr size_t kMaxKeys = 1000;

// Looks at what nlohmann-json's reader meets, before anything is built of it: a tree is torn down and walked over by
// functions that call themselves, and so is CBOR read.
class Limits {
 public:
  explicit Limits(const std::string& subject) : subject_(subject) {}

  bool null() { return true; }
  bool boolean(bool) { return true; }
  bool number_integer(int64_t) { return true; }
  bool number_unsigned(uint64_t) { return true; }
  bool number_float(double, const std::string&) { return true; }
  bool string(const std::string&) { return true; }
  bool binary(const Json::binary_t&) { return true; }
  bool start_object(size_t) { return open(); }
  bool end_object() { return close(); }
  bool start_array(size_t) { return open(); }
  bool end_array() { return close(); }

  bool key(const std::string&) {
    if (++keys_.back() > kMaxKeys) fail(subject_, "has an object of more than {} keys", kMaxKeys);
    return true;
  }

  bool parse_error(size_t at, const std::string&, const nlohmann::json::exception&) {
    fail(subject_, "is not a document: byte {} cannot stand where it does", at);
  }

 private:
  bool open() {
    if (keys_.size() == kMaxDepth) fail(subject_, "is nested deeper than {} levels", kMaxDepth);
    keys_.push_back(0);
    return true;
  }

  bool close() {
    keys_.pop_back();
    return true;
  }

  const std::string& subject_;
  std::vector<size_t> keys_;  // of each object that is open; 0 for an array
};

template <typename Bytes, typename Read>
Json read_within_limits(const std::string& subject, const Bytes& bytes, Json::input_format_t format, Read read) {
  Limits limits(subject);
  Json::sax_parse(bytes.begin(), bytes.end(), &limits, format);
  try {
    return read();
  } catch (const Json::exception&) {
    fail(subject, "is not a document: it has a value that cannot be held");
  }
}

}  // namespace

Json parse_document(const std::string& subject, std::string_view text) {
  return read_within_limits(subject, text, Json::input_format_t::json, [&] { return Json::parse(text); });
}

Json parse_cbor_document(const std::string& subject, std::span<const std::byte> bytes) {
  return read_within_limits(subject, bytes, Json::input_format_t::cbor,
                            [&] { return Json::from_cbor(bytes.begin(), bytes.end()); });
}

}  // namespace gyro
