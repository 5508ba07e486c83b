#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gyro/base/file.h"
#include "gyro/tensor/dtype.h"

namespace gyro {

/// One entry of a safetensors header. `begin`/`end` are byte offsets from the end of the header.
struct TensorInfo {
  DType dtype = DType::F32;
  std::vector<int64_t> shape;
  uint64_t begin = 0;
  uint64_t end = 0;
};

/// A parsed header: tensors by name, the `__metadata__` strings, and where the data start in the file.
struct SafetensorsHeader {
  std::map<std::string, TensorInfo, std::less<>> tensors;
  std::map<std::string, std::string> metadata;
  uint64_t data_begin = 0;  ///< 8 + header length
};

/// Parses and checks the header of a safetensors file: every rule of the format (length prefix within the file and at
/// most 100 MB, JSON object starting with `{`, no duplicate keys, known dtype, shape non-negative without overflow,
/// offsets inside the data, size = product x dtype, no overlaps, no holes, data cover the file to its end).
/// `file_bytes` needs to hold the header only; `file_size` is the size of the file. Throws Error naming `subject` (or
/// the tensor).
SafetensorsHeader parse_safetensors_header(std::string_view subject, std::span<const std::byte> file_bytes,
                                           uint64_t file_size);

/// A memory-mapped safetensors file.
class SafetensorsFile {
 public:
  explicit SafetensorsFile(const std::filesystem::path& path);
  const std::filesystem::path& path() const { return path_; }
  const SafetensorsHeader& header() const { return header_; }
  /// The bytes of a tensor of this file's header.
  std::span<const std::byte> bytes(const TensorInfo& tensor) const;
  /// The length prefix and the JSON header as stored; the model's fingerprint is taken over these.
  std::span<const std::byte> header_bytes() const;
  /// As MappedFile's: throws Error naming the file if bytes of it may not have been what they should.
  void check() const { mapping_.check(); }
  uint64_t size() const { return mapping_.bytes().size(); }

 private:
  std::filesystem::path path_;
  MappedFile mapping_;
  SafetensorsHeader header_;
};

/// Calls visit with sixteen places of a tensor's bytes, of at most 256 bytes each: they tell apart checkpoints of one
/// layout without reading them whole.
void for_each_sample(std::span<const std::byte> bytes, const std::function<void(std::span<const std::byte>)>& visit);

/// A tensor that is going to be written.
struct PlannedTensor {
  std::string name;
  DType dtype = DType::F32;
  std::vector<int64_t> shape;
  uint64_t byte_size() const;
};

/// What a safetensors file begins with, length prefix and header padded with spaces to 8 bytes, for tensors that follow
/// in the given order. Throws Error naming `subject` for a name that occurs twice or is not UTF-8.
std::string safetensors_head(const std::string& subject, const std::vector<PlannedTensor>& tensors,
                             const std::map<std::string, std::string>& metadata);

/// A tensor to be written: its name, type, shape and bytes (shared, not owned).
struct TensorToWrite {
  std::string name;
  DType dtype = DType::F32;
  std::vector<int64_t> shape;
  std::span<const std::byte> bytes;
};

/// Writes a safetensors file atomically (write_file_atomically's promise, without a copy of the data in memory);
/// tensors in the given order, header padded with spaces to 8 bytes.
void write_safetensors(const std::filesystem::path& path, const std::vector<TensorToWrite>& tensors,
                       const std::map<std::string, std::string>& metadata);

}  // namespace gyro
