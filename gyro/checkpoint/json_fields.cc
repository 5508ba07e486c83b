#include "gyro/checkpoint/json_fields.h"

#include "gyro/checkpoint/json.h"

namespace gyro {

nlohmann::json parse_json(std::string_view subject, std::string_view text) {
  visit_json(subject, text, [](const JsonPath&, const JsonValue&) {});
  return nlohmann::json::parse(text.begin(), text.end());
}

JsonFields::JsonFields(std::string_view subject, std::string name, const Json& object)
    : subject_(subject), name_(std::move(name)), object_(&object) {
  if (!object.is_object())
    fail(subject_, "{}", name_.empty() ? "must hold a JSON object" : name_ + " must be an object");
}

std::string JsonFields::name_of(std::string_view key) const {
  return name_.empty() ? std::string(key) : fmt::format("{}.{}", name_, key);
}

const JsonFields::Json* JsonFields::find(std::string_view key) const {
  const auto found = object_->find(std::string(key));
  return found == object_->end() || found->is_null() ? nullptr : &*found;
}

const JsonFields::Json& JsonFields::require(std::string_view key) const {
  const Json* value = find(key);
  if (value == nullptr) fail_at(key, "is missing");
  return *value;
}

std::string JsonFields::string(std::string_view key) const {
  require(key);
  return *optional_string(key);
}

std::optional<std::string> JsonFields::optional_string(std::string_view key) const {
  const Json* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_string()) fail_at(key, "must be a string");
  return value->get<std::string>();
}

std::optional<bool> JsonFields::boolean(std::string_view key) const {
  const Json* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_boolean()) fail_at(key, "must be true or false");
  return value->get<bool>();
}

std::optional<double> JsonFields::number(std::string_view key) const {
  const Json* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_number()) fail_at(key, "must be a number");
  return value->get<double>();
}

int64_t JsonFields::integer(std::string_view key, int64_t limit) const {
  require(key);
  return *optional_integer(key, limit);
}

std::optional<int64_t> JsonFields::optional_integer(std::string_view key, int64_t limit) const {
  const Json* value = find(key);
  if (value == nullptr) return std::nullopt;
  return integer_of(key, *value, limit);
}

bool JsonFields::is_null(std::string_view key) const {
  const auto found = object_->find(std::string(key));
  return found != object_->end() && found->is_null();
}

int64_t JsonFields::integer_of(std::string_view key, const Json& value, int64_t limit) const {
  if (!value.is_number_unsigned() || value.get<uint64_t>() > static_cast<uint64_t>(limit)) {
    fail_at(key, "must be an integer from 0 to {}", limit);
  }
  return value.get<int64_t>();
}

const JsonFields::Json& JsonFields::array(std::string_view key) const {
  const Json& value = require(key);
  if (!value.is_array()) fail_at(key, "must be an array");
  return value;
}

JsonFields JsonFields::element(std::string_view key, size_t i) const {
  return JsonFields(subject_, fmt::format("{}[{}]", name_of(key), i), array(key)[i]);
}

std::optional<JsonFields> JsonFields::object(std::string_view key) const {
  const Json* value = find(key);
  if (value == nullptr) return std::nullopt;
  return JsonFields(subject_, name_of(key), *value);
}

}  // namespace gyro
