#include "gyro/checkpoint/json.h"

#include <nlohmann/json.hpp>
#include <unordered_set>

#include "gyro/base/error.h"

namespace gyro {
namespace {

constexpr size_t kMaxDepth = 64;

// What nlohmann-json says, without its error number and without bytes that may not be text.
std::string readable(std::string_view message) {
  if (const size_t end = message.find("] "); end != message.npos) message.remove_prefix(end + 2);
  std::string out(message.substr(0, 300));
  for (char& c : out) {
    if (static_cast<unsigned char>(c) >= 0x80) c = '?';
  }
  return out;
}

// Receives the events of nlohmann-json's SAX parser, which keeps its own state on the heap, not on the stack.
class Sax {
 public:
  using Visitor = std::function<void(const JsonPath&, const JsonValue&)>;
  using Kind = JsonValue::Kind;

  Sax(std::string_view subject, const Visitor& visit) : subject_(subject), visit_(visit) {}

  bool null() { return scalar({Kind::Null, {}, 0}); }
  bool boolean(bool) { return scalar({Kind::Bool, {}, 0}); }
  bool number_integer(int64_t) { return scalar({Kind::Negative, {}, 0}); }
  bool number_unsigned(uint64_t number) { return scalar({Kind::Unsigned, {}, number}); }
  bool number_float(double, const std::string&) { return scalar({Kind::Real, {}, 0}); }
  bool string(const std::string& text) { return scalar({Kind::String, text, 0}); }
  bool binary(const nlohmann::json::binary_t&) { return false; }  // not in JSON text

  bool start_object(size_t) { return open(Kind::Object); }
  bool end_object() { return close(); }
  bool start_array(size_t) { return open(Kind::Array); }
  bool end_array() { return close(); }

  bool key(const std::string& name) {
    if (!open_keys_.back().insert(name).second) fail(subject_, "has the key \"{}\" twice", printable(name));
    path_.back() = name;
    return true;
  }

  bool parse_error(size_t, const std::string&, const nlohmann::json::exception& error) {
    fail(subject_, "is not valid JSON: {}", readable(error.what()));
  }

 private:
  bool scalar(const JsonValue& value) {
    visit_(path_, value);
    return true;
  }

  bool open(Kind kind) {
    if (path_.size() == kMaxDepth) fail(subject_, "is JSON nested deeper than {} levels", kMaxDepth);
    visit_(path_, {kind, {}, 0});
    path_.emplace_back();
    open_keys_.emplace_back();
    return true;
  }

  bool close() {
    path_.pop_back();
    open_keys_.pop_back();
    return true;
  }

  std::string subject_;
  const Visitor& visit_;
  JsonPath path_;
  std::vector<std::unordered_set<std::string>> open_keys_;
};

}  // namespace

std::string_view json_kind_name(JsonValue::Kind kind) {
  switch (kind) {
    case JsonValue::Kind::Object:
      return "an object";
    case JsonValue::Kind::Array:
      return "an array";
    case JsonValue::Kind::String:
      return "a string";
    case JsonValue::Kind::Unsigned:
      return "a number";
    case JsonValue::Kind::Negative:
      return "a negative number";
    case JsonValue::Kind::Real:
      return "a number that is no integer of 64 bits";
    case JsonValue::Kind::Bool:
      return "a truth value";
    case JsonValue::Kind::Null:
      return "null";
  }
  return "nothing";
}

void visit_json(std::string_view subject, std::string_view text,
                const std::function<void(const JsonPath&, const JsonValue&)>& visit) {
  // The parser takes a zero byte for the end of the text and would not look at what follows.
  if (const size_t zero = text.find('\0'); zero != text.npos) {
    fail(std::string(subject), "is not valid JSON: byte {} is zero", zero);
  }
  Sax sax(subject, visit);
  nlohmann::json::sax_parse(text.begin(), text.end(), &sax);
}

}  // namespace gyro
