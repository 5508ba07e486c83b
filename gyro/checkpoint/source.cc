#include "gyro/checkpoint/source.h"

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

std::string TensorSource::identity() const {
  Sha256 hash;
  const std::string layout = sha256();
  hash.update(std::as_bytes(std::span(layout)));
  hash_samples(hash);
  return hash.hex();
}

bool TensorSource::is_fp8_scale(std::string_view name) const {
  const auto is_fp8 = [&](std::string_view tensor) {
    const SourceTensor* found = find(tensor);
    return found != nullptr && (found->dtype == DType::F8_E4M3 || found->dtype == DType::F8_E5M2);
  };
  for (const std::string_view ending : {"_scale", "_scale_inv"}) {
    if (!name.ends_with(ending)) continue;
    const std::string module(name.substr(0, name.rfind('.') + 1));  // with its dot, or empty
    return is_fp8(name.substr(0, name.size() - ending.size())) || is_fp8(module + "weight");
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
