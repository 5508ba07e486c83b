#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "gyro/checkpoint/safetensors.h"
#include "gyro/diff/document.h"

namespace gyro {

/// A number to the seven digits that are more than a plot or a table shows.
double rounded(double value);
/// The same for all numbers of a document.
Json trimmed(Json json);
/// A member, trimmed; null where there is none.
Json member(const Json& object, const char* key);

/// The members of these names.
template <typename Keys>
Json picked(const Json& object, const Keys& keys) {
  Json out = Json::object();
  for (const char* key : keys) out[key] = member(object, key);
  return out;
}

/// Whether a byte of UTF-8 goes on with a character.
bool continues(char c);
/// How a text begins, in at most `limit` bytes and "…", cut between characters.
std::string beginning(const std::string& text, size_t limit);

/// The folder's own name: where it stood on the machine is nobody's business.
std::string folder_name(const std::filesystem::path& folder);

/// Float32 values as base64.
class FloatBlock {
 public:
  void add(float value);
  void add(const std::vector<float>& values);
  void add(const FloatBlock& other) { bytes_ += other.bytes_; }
  std::string encoded() const;

 private:
  std::string bytes_;
};

/// An array of a result's file. Throws Error naming the file where it is not there, or not of the floats and the shape
/// that `document` says.
std::vector<double> array_values(const SafetensorsFile& file, const std::string& name,
                                 const std::vector<int64_t>& shape, const char* document);

/// Bytes that JSON takes in a script element of the page (script_json).
size_t script_bytes(const Json& json);

}  // namespace gyro
