#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "gyro/base/error.h"

namespace gyro {

/// The value of a JSON text. Throws Error naming `subject` as visit_json does.
nlohmann::json parse_json(std::string_view subject, std::string_view text);

/// Typed access to a JSON object of a file. A key whose value is null counts as absent. What has another type is an
/// Error that names file and field. It does not own the object.
class JsonFields {
 public:
  using Json = nlohmann::json;

  /// `name` is how messages call the object ("model"), empty for the file's own.
  JsonFields(std::string_view subject, std::string name, const Json& object);

  const std::string& subject() const { return subject_; }
  /// How messages call the field.
  std::string name_of(std::string_view key) const;

  const Json* find(std::string_view key) const;
  const Json& require(std::string_view key) const;
  std::string string(std::string_view key) const;
  std::optional<std::string> optional_string(std::string_view key) const;
  std::optional<bool> boolean(std::string_view key) const;
  std::optional<double> number(std::string_view key) const;
  /// An integer from 0 to `limit`.
  int64_t integer(std::string_view key, int64_t limit) const;
  std::optional<int64_t> optional_integer(std::string_view key, int64_t limit) const;
  /// `value`, which is part of the field `key`, as such an integer.
  int64_t integer_of(std::string_view key, const Json& value, int64_t limit) const;
  /// Whether the key is there, with the value null.
  bool is_null(std::string_view key) const;
  const Json& array(std::string_view key) const;
  std::optional<JsonFields> object(std::string_view key) const;
  /// The object that is element `i` of the array `key`, which has as many.
  JsonFields element(std::string_view key, size_t i) const;

  template <typename... Args>
  [[noreturn]] void fail_at(std::string_view key, fmt::format_string<Args...> format, Args&&... args) const {
    fail(subject_, "{} {}", name_of(key), fmt::format(format, std::forward<Args>(args)...));
  }

 private:
  std::string subject_;
  std::string name_;
  const Json* object_;
};

}  // namespace gyro
