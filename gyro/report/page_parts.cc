#include "gyro/report/page_parts.h"

#include <algorithm>
#include <charconv>

#include "gyro/base/error.h"
#include "gyro/report/base64.h"

namespace gyro {
namespace {

constexpr int kDigits = 7;

}  // namespace

double rounded(double value) {
  const std::string text = fmt::format("{:.{}g}", value, kDigits);
  std::from_chars(text.data(), text.data() + text.size(), value);  // leaves the value where it is out of range
  return value;
}

Json trimmed(Json json) {
  if (json.is_number_float()) return rounded(json.get<double>());
  if (json.is_structured()) {
    for (Json& child : json) child = trimmed(std::move(child));
  }
  return json;
}

Json member(const Json& object, const char* key) {
  const auto it = object.find(key);  // end for what is no object
  return it == object.end() ? Json() : trimmed(*it);
}

bool continues(char c) {
  return (static_cast<unsigned char>(c) & 0xC0) == 0x80;
}

std::string beginning(const std::string& text, size_t limit) {
  if (text.size() <= limit) return text;
  while (limit > 0 && continues(text[limit])) --limit;
  return text.substr(0, limit) + "…";
}

std::string folder_name(const std::filesystem::path& folder) {
  return (folder.filename().empty() ? folder.parent_path() : folder).filename().string();
}

void FloatBlock::add(float value) {
  bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);
}

void FloatBlock::add(const std::vector<float>& values) {
  for (const float value : values) add(value);
}

std::string FloatBlock::encoded() const {
  return base64(bytes_);
}

std::vector<double> array_values(const SafetensorsFile& file, const std::string& name,
                                 const std::vector<int64_t>& shape, const char* document) {
  const auto it = file.header().tensors.find(name);
  const std::string path = file.path().string();
  if (it == file.header().tensors.end()) fail(path, "lacks the array {}", printable(name));
  const TensorInfo& info = it->second;
  if (!dtype_is_float(info.dtype) || info.shape != shape) {
    fail(path, "{} is not of the shape that {} says", printable(name), document);
  }
  int64_t count = 1;
  for (const int64_t side : shape) count *= side;
  std::vector<double> values(static_cast<size_t>(count));
  widen(info.dtype, file.bytes(info).data(), values.size(), values.data());
  return values;
}

size_t script_bytes(const Json& json) {
  const std::string text = json.dump(-1, ' ', false, Json::error_handler_t::replace);
  return text.size() + 5 * static_cast<size_t>(std::ranges::count(text, '<'));  // "<" takes six
}

}  // namespace gyro
