#include "gyro/checkpoint/overlay.h"

#include <fmt/format.h>

#include "gyro/base/error.h"

namespace gyro {
OverlaySource::OverlaySource(std::shared_ptr<const TensorSource> under, Replacements replaced, const Names& hidden,
                             std::string recipe, std::vector<std::shared_ptr<const TensorSource>> made_from)
    : TensorSource(under->path()),
      under_(std::move(under)),
      replaced_(std::move(replaced)),
      recipe_(std::move(recipe)),
      made_from_(std::move(made_from)) {
  config_ = under_->config();
  for (const auto& [name, tensor] : under_->tensors()) {
    if (!hidden.contains(name)) tensors_.emplace(name, tensor);
  }
  for (const auto& [name, replacement] : replaced_) tensors_.insert_or_assign(name, replacement.tensor);
}

TensorLease OverlaySource::read_rows(std::string_view name, int64_t begin, int64_t end) const {
  const auto replaced = replaced_.find(name);
  if (replaced == replaced_.end()) return under_->read_rows(name, begin, end);
  const SourceTensor& tensor = replaced->second.tensor;
  std::shared_ptr<const Bytes> bytes = replaced->second.bytes();
  if (bytes->size() != tensor.byte_size()) {
    fail(std::string(name), "was made with {} bytes in place of {}", bytes->size(), tensor.byte_size());
  }
  const uint64_t row = tensor.row_bytes();
  const auto part = std::span(*bytes).subspan(static_cast<size_t>(begin) * row, static_cast<size_t>(end - begin) * row);
  return {part, std::move(bytes), false};
}

void OverlaySource::prefetch(std::string_view name, int64_t begin, int64_t end) const {
  if (!replaced_.contains(name)) under_->prefetch(name, begin, end);
}

void OverlaySource::check() const {
  under_->check();
  for (const auto& source : made_from_) source->check();
}

std::string OverlaySource::sha256() const {
  Sha256 hash;
  hash.update(under_->sha256());
  for (const auto& [name, tensor] : tensors_) {
    hash.update(fmt::format("{}:{}[{}]", name, dtype_name(tensor.dtype), fmt::join(tensor.shape, ",")));
  }
  return hash.hex();
}

void OverlaySource::hash_samples(Sha256& hash) const {
  under_->hash_samples(hash);
  for (const auto& [name, replacement] : replaced_) hash.update(name + "\n");
  hash.update(recipe_);
  for (const auto& source : made_from_) {
    hash.update(source->sha256());
    source->hash_samples(hash);
  }
}

}  // namespace gyro
