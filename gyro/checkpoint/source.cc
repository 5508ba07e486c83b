#include "gyro/checkpoint/source.h"

#include <fmt/format.h>

#include <algorithm>

namespace gyro {

uint64_t SourceTensor::row_bytes() const {
  uint64_t bytes = dtype_size(dtype);
  for (size_t i = 1; i < shape.size(); ++i) bytes *= static_cast<uint64_t>(shape[i]);
  return bytes;
}

const SourceTensor* TensorSource::find(std::string_view name) const {
  const auto found = tensors_.find(name);
  return found == tensors_.end() ? nullptr : &found->second;
}

TensorLease TensorSource::read(std::string_view name) const {
  return read_rows(name, 0, find(name)->rows());
}

std::vector<std::string> TensorSource::all_warnings() const {
  std::vector<std::string> all;
  for (const std::string& warning : warnings_) all.push_back(fmt::format("{}: {}", path_.string(), warning));
  return all;
}

std::string TensorSource::identity() const {
  Sha256 hash;
  hash.update(sha256());
  hash_samples(hash);
  return hash.hex();
}

std::vector<std::string> TensorSource::scales_of(const std::string& name) const {
  std::vector<std::string> names = {name + "_scale_inv", name + "_scale"};
  const SourceTensor* entry = find(name);
  if (entry != nullptr && dtype_is_fp8(entry->dtype) && name.ends_with(".weight")) {
    const std::string module = name.substr(0, name.rfind('.') + 1);
    for (const char* own : {"scale", "scale_inv", "scale_weight"}) names.push_back(module + own);
  }
  std::erase_if(names, [&](const std::string& scale) { return find(scale) == nullptr; });
  return names;
}

bool TensorSource::is_fp8_scale(std::string_view name) const {
  const auto is_fp8 = [&](std::string_view tensor) {
    const SourceTensor* found = find(tensor);
    return found != nullptr && dtype_is_fp8(found->dtype);
  };
  const std::string module(name.substr(0, name.rfind('.') + 1));  // with its dot, or empty
  const std::string_view own = name.substr(module.size());
  const bool beside = is_fp8(module + "weight");
  for (const std::string_view whole : {"scale", "scale_inv", "scale_weight", "scale_input"}) {
    if (own == whole) return beside;
  }
  for (const std::string_view ending : {"_scale", "_scale_inv"}) {
    if (name.ends_with(ending)) return beside || is_fp8(name.substr(0, name.size() - ending.size()));
  }
  return false;
}

int64_t TensorSource::parameters() const {
  int64_t count = 0;
  for (const auto& [name, tensor] : tensors_) {
    if (!dtype_is_float(tensor.dtype) || is_fp8_scale(name)) continue;
    count += static_cast<int64_t>(tensor.byte_size() / dtype_size(tensor.dtype));
  }
  return count;
}

std::vector<std::string> TensorSource::dtypes() const {
  std::map<std::string, uint64_t> bytes;
  for (const auto& [name, tensor] : tensors_) bytes[std::string(dtype_name(tensor.dtype))] += tensor.byte_size();
  std::vector<std::string> names;
  for (const auto& [name, total] : bytes) names.push_back(name);
  std::stable_sort(names.begin(), names.end(),
                   [&](const std::string& a, const std::string& b) { return bytes[a] > bytes[b]; });
  return names;
}

std::vector<std::filesystem::path> input_folders(std::initializer_list<const TensorSource*> sources) {
  std::vector<std::filesystem::path> folders;
  for (const TensorSource* source : sources) {
    for (std::filesystem::path& folder : source->folders()) folders.push_back(std::move(folder));
  }
  return folders;
}

}  // namespace gyro
