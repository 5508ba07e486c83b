#include "gyro/diff/result_json.h"

#include <cmath>
#include <string_view>
#include <type_traits>

#include "gyro/base/error.h"
#include "gyro/diff/result_fields.h"
#include "gyro/diff/result_names.h"

namespace gyro {
namespace {

using result_fields::fields;
using std::string_view;

class Writer {
 public:
  template <typename T>
  void operator()(const char* key, const T& value) {
    json_[key] = encoded(value);
  }
  // What is left out where there is none.
  template <typename T>
  void optional(const char* key, const std::optional<T>& value) {
    if (value) (*this)(key, *value);
  }
  template <typename T>
  void derived(const char* key, const T& value) {
    (*this)(key, value);
  }
  void schema(const char* value, const char*) { json_["schema"] = value; }
  // What nothing was chosen of is all.
  template <typename T>
  void selection(const char* key, const std::vector<T>& chosen) {
    json_[key] = chosen.empty() ? Json("all") : encoded(chosen);
  }

  template <typename T>
  static Json written(const T& value) {
    Writer writer;
    fields(writer, value);
    return std::move(writer.json_);
  }

 private:
  static Json encoded(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }
  static Json encoded(const std::integral auto& value) { return value; }
  static Json encoded(const std::string& value) { return value; }
  static Json encoded(MatrixType value) { return type_name(value); }
  static Json encoded(const std::pair<int64_t, int64_t>& value) { return {value.first, value.second}; }
  template <typename T>
  static Json encoded(const std::optional<T>& value) {
    return value ? encoded(*value) : Json(nullptr);
  }
  template <typename T>
  static Json encoded(const std::vector<T>& values) {
    Json json = Json::array();
    for (const T& value : values) json.push_back(encoded(value));
    return json;
  }
  template <typename T>
  static Json encoded(const T& value) {
    if constexpr (std::is_enum_v<T>) {
      return name_of(value);
    } else {
      return written(value);
    }
  }

  Json json_ = Json::object();
};

// Reads the object that stands at `where` in a document.
class Reader {
 public:
  Reader(string_view subject, std::string where, const Json& json)
      : subject_(subject), where_(std::move(where)), json_(json) {
    if (!json.is_object()) fail(std::string(subject_), "{} is not an object", where_.empty() ? "the document" : where_);
  }

  template <typename T>
  void operator()(const char* key, T& value) {
    read(path(key), field(key), value);
  }
  template <typename T>
  void optional(const char* key, std::optional<T>& value) {
    value.reset();
    if (json_.contains(key)) (*this)(key, value.emplace());
  }
  template <typename T>
  void derived(const char*, const T&) {}
  void schema(const char* value, const char* earlier) {
    const Json& schema = field("schema");
    if (schema != value && schema != earlier) fail(std::string(subject_), "schema is not {}", value);
  }
  template <typename T>
  void selection(const char* key, std::vector<T>& chosen) {
    const auto it = json_.find(key);  // older results have none of experts
    if (it != json_.end() && *it != "all") read(path(key), *it, chosen);
  }

 private:
  std::string path(const char* key) const { return where_.empty() ? key : where_ + "." + key; }

  const Json& field(const char* key) const {
    const auto it = json_.find(key);
    if (it == json_.end()) fail(std::string(subject_), "{} is missing", path(key));
    return *it;
  }

  void expect(bool holds, const std::string& where, string_view what) const {
    if (!holds) fail(std::string(subject_), "{} is not {}", where, what);
  }

  void read(const std::string& where, const Json& json, double& value) const {
    expect(json.is_number() || json.is_null(), where, "a number or null");
    value = json.is_null() ? kUndefined : json.get<double>();
  }
  void read(const std::string& where, const Json& json, int64_t& value) const {
    expect(json.is_number_integer(), where, "a whole number");
    value = json.get<int64_t>();
  }
  void read(const std::string& where, const Json& json, uint64_t& value) const {
    expect(json.is_number_unsigned(), where, "a whole number of at least 0");
    value = json.get<uint64_t>();
  }
  void read(const std::string& where, const Json& json, bool& value) const {
    expect(json.is_boolean(), where, "true or false");
    value = json.get<bool>();
  }
  void read(const std::string& where, const Json& json, std::string& value) const {
    expect(json.is_string(), where, "a text");
    value = json.get<std::string>();
  }
  void read(const std::string& where, const Json& json, MatrixType& value) const {
    const auto type = json.is_string() ? type_from_name(json.get<std::string>()) : std::nullopt;
    expect(type.has_value(), where, "a type of matrix");
    value = *type;
  }
  void read(const std::string& where, const Json& json, std::pair<int64_t, int64_t>& value) const {
    expect(json.is_array() && json.size() == 2, where, "a pair");
    read(where + "[0]", json[0], value.first);
    read(where + "[1]", json[1], value.second);
  }
  template <typename T>
  void read(const std::string& where, const Json& json, std::optional<T>& value) const {
    value.reset();
    if (!json.is_null()) read(where, json, value.emplace());
  }
  template <typename T>
  void read(const std::string& where, const Json& json, std::vector<T>& values) const {
    expect(json.is_array(), where, "a list");
    values.resize(json.size());
    for (size_t i = 0; i < values.size(); ++i) read(fmt::format("{}[{}]", where, i), json[i], values[i]);
  }
  template <typename T>
  void read(const std::string& where, const Json& json, T& value) const {
    if constexpr (std::is_enum_v<T>) {
      for (const auto& [one, name] : kNames<T>) {
        if (json == Json(name)) return void(value = one);
      }
      fail(std::string(subject_), "{} has a value that is not known", where);
    } else {
      Reader reader(subject_, where, json);
      fields(reader, value);
    }
  }

  string_view subject_;
  std::string where_;
  const Json& json_;
};

ResultArray decode_array(const Json& json) {
  const auto dtype = dtype_from_name(json.at("dtype").get<std::string>());
  if (!dtype) fail("array", "is of no known type");
  const auto& bytes = json.at("bytes").get_binary();
  const auto* data = reinterpret_cast<const std::byte*>(bytes.data());
  ResultArray array{*dtype, json.at("shape").get<std::vector<int64_t>>(), {data, data + bytes.size()}};
  uint64_t size = dtype_size(*dtype);
  for (const int64_t extent : array.shape) {
    if (extent < 0 || __builtin_mul_overflow(size, static_cast<uint64_t>(extent), &size))
      fail("array", "has no such shape");
  }
  if (size != bytes.size()) fail("array", "is not of its shape");
  return array;
}

std::pair<int64_t, UnitResult> decoded_unit(const Json& json) {
  UnitResult result;
  const Json& rows = json.at("rows");
  if (!rows.is_array()) fail("record", "rows is not a list");
  for (const Json& row : rows) {
    Reader reader("record", "row", row);
    fields(reader, result.rows.emplace_back());
  }
  if (const auto it = json.find("overlaps"); it != json.end()) {
    if (!it->is_array()) fail("record", "overlaps is not a list");
    for (const Json& overlap : *it) {
      Reader reader("record", "overlap", overlap);
      fields(reader, result.overlaps.emplace_back());
    }
  }
  if (const auto it = json.find("interference"); it != json.end()) {
    Reader reader("record", "interference", *it);
    fields(reader, result.interference.emplace());
  }
  for (const auto& [name, array] : json.at("arrays").items()) result.arrays[name] = decode_array(array);
  const auto unit = json.at("unit").get<int64_t>();
  if (unit < 0) fail("record", "is of no unit");
  return {unit, std::move(result)};
}

}  // namespace

std::string_view verdict_name(Verdict verdict) {
  return name_of(verdict);
}

Json to_json(const DiffResult& result) {
  return Writer::written(result);
}
Json to_json(const MatrixRow& row) {
  return Writer::written(row);
}
Json to_json(const TypeRow& row) {
  return Writer::written(row);
}
Json to_json(const Finding& finding) {
  return Writer::written(finding);
}

std::string result_text(const DiffResult& result) {
  return to_json(result).dump(1, ' ', false, Json::error_handler_t::replace);
}

DiffResult read_result(const std::string& subject, const Json& document) {
  DiffResult result;
  Reader reader(subject, "", document);
  fields(reader, result);
  if (result.comparisons.empty()) fail(subject, "comparisons is empty");
  return result;
}

std::vector<uint8_t> encode_unit(int64_t unit, const UnitResult& result) {
  Json rows = Json::array(), overlaps = Json::array(), arrays = Json::object();
  for (const MatrixRow& row : result.rows) rows.push_back(to_json(row));
  for (const auto& [name, array] : result.arrays) {
    const auto* data = reinterpret_cast<const uint8_t*>(array.bytes.data());
    arrays[name] = {{"dtype", dtype_name(array.dtype)},
                    {"shape", array.shape},
                    {"bytes", Json::binary({data, data + array.bytes.size()})}};
  }
  for (const ChangeOverlap& overlap : result.overlaps) overlaps.push_back(Writer::written(overlap));
  Json json = {
      {"unit", unit}, {"rows", std::move(rows)}, {"overlaps", std::move(overlaps)}, {"arrays", std::move(arrays)}};
  if (result.interference) json["interference"] = Writer::written(*result.interference);
  return Json::to_cbor(json);
}

std::pair<int64_t, UnitResult> decode_unit(std::span<const std::byte> bytes) {
  const Json json = parse_cbor_document("record", bytes);
  try {
    return decoded_unit(json);
  } catch (const Json::exception&) {
    fail("record", "is not of a unit");
  }
}

}  // namespace gyro
