#include "gyro/checkpoint/memory.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>
#include <utility>

#include "gyro/base/error.h"
#include "gyro/checkpoint/unwrap.h"

namespace gyro {
namespace {

constexpr const char* kConfigName = "config.json";
constexpr int64_t kSampledRows = 16;

}  // namespace

MemorySource::MemorySource(std::string id, std::string config, const MemoryTensors& tensors)
    : TensorSource(std::move(id)), config_text_(std::move(config)) {
  if (!config_text_.empty()) config_ = parse_config(path_.string() + "/" + kConfigName, config_text_);
  std::set<std::string, std::less<>> stored;
  for (const auto& [name, held] : tensors) stored.insert(name);
  const UnwrappedNames unwrapped = unwrap_names(path_.string(), stored);
  if (!unwrapped.warning.empty()) warnings_.push_back(unwrapped.warning);
  for (const auto& [name, held] : tensors) {
    const auto own = unwrapped.names.find(name);
    const std::string& as_model = own == unwrapped.names.end() ? name : own->second;
    tensors_[as_model] = held.tensor;
    held_[as_model] = held;
  }
}

TensorLease MemorySource::read_rows(std::string_view name, int64_t begin, int64_t end) const {
  const MemoryTensor& held = held_.find(name)->second;
  TensorLease lease = held.read(begin, end);
  const uint64_t wanted = held.tensor.row_bytes() * static_cast<uint64_t>(end - begin);
  if (lease.bytes.size() != wanted)
    fail(std::string(name), "gave {} bytes of {} rows in place of {}", lease.bytes.size(), end - begin, wanted);
  return lease;
}

void MemorySource::prefetch(std::string_view /*name*/, int64_t /*begin*/, int64_t /*end*/) const {}

std::string MemorySource::sha256() const {
  Sha256 hash;
  for (const auto& [name, tensor] : tensors_) {
    hash.update(fmt::format("{}:{}[{}]", name, dtype_name(tensor.dtype), fmt::join(tensor.shape, ",")));
  }
  return hash.hex();
}

void MemorySource::hash_samples(Sha256& hash) const {
  for (const auto& [name, tensor] : tensors_) {
    const int64_t rows = tensor.rows(), count = std::min(rows, kSampledRows);
    for (int64_t i = 0; i < count; ++i) {
      const int64_t row = count == 1 ? 0 : i * (rows - 1) / (count - 1);
      hash.update(read_rows(name, row, row + 1).bytes);
    }
  }
}

std::vector<std::string> MemorySource::companions() const {
  return config_text_.empty() ? std::vector<std::string>{} : std::vector<std::string>{kConfigName};
}

std::string MemorySource::companion(std::string_view name, size_t limit) const {
  if (name != kConfigName || config_text_.empty())
    fail(ErrorKind::NotFound, path_.string(), "has no {}", std::string(name));
  if (config_text_.size() > limit) fail(path_.string(), "config.json has more than {} bytes", limit);
  return config_text_;
}

}  // namespace gyro
