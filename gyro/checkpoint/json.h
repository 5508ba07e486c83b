#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace gyro {

/// A JSON value as `visit_json` meets it. Objects and arrays are reported when they open, before what they hold.
struct JsonValue {
  enum class Kind { Object, Array, String, Unsigned, Negative, Real, Bool, Null };
  Kind kind = Kind::Null;
  std::string_view text;  ///< of a String; gone when the visitor returns
  uint64_t number = 0;    ///< of an Unsigned
};

/// How messages call a value of that kind ("a string").
std::string_view json_kind_name(JsonValue::Kind kind);

/// The keys that lead to a value, outermost first; the step into an array is an empty string. The document's own value
/// has an empty path.
using JsonPath = std::vector<std::string>;

/// Calls `visit` for each value of a JSON text in the order of the text, holding no more of it than the keys of the
/// objects that are open. Throws Error naming `subject` for what is not JSON, not UTF-8, nested deeper than 64 levels,
/// or has a key twice in an object.
void visit_json(std::string_view subject, std::string_view text,
                const std::function<void(const JsonPath&, const JsonValue&)>& visit);

}  // namespace gyro
