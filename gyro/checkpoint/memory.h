#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "gyro/checkpoint/source.h"

namespace gyro {

/// A tensor that lies in memory, or comes there when it is read.
struct MemoryTensor {
  SourceTensor tensor;
  /// The bytes of rows [begin, end), row-major and without gaps. Called on any thread.
  std::function<TensorLease(int64_t begin, int64_t end)> read;
};
using MemoryTensors = std::map<std::string, MemoryTensor, std::less<>>;

/// A model whose tensors somebody else holds, such as the state of one that is being trained: nothing is copied. Names
/// are without what wrappers put around them (unwrap_names), as a checkpoint's are.
class MemorySource : public TensorSource {
 public:
  /// `id` is how messages and results call it; `config` is the text of a config.json, or empty: then the tensors tell
  /// what they can. Throws Error for a config that is none.
  MemorySource(std::string id, std::string config, const MemoryTensors& tensors);

  /// Throws Error naming the tensor whose bytes are not as many as they should be.
  TensorLease read_rows(std::string_view name, int64_t begin, int64_t end) const override;
  void prefetch(std::string_view name, int64_t begin, int64_t end) const override;
  void check() const override {}
  /// Over the tensors' names, dtypes and shapes; the samples are rows of each, evenly spaced.
  std::string sha256() const override;
  void hash_samples(Sha256& hash) const override;
  std::vector<std::string> companions() const override;
  std::string companion(std::string_view name, size_t limit) const override;
  std::string id() const override { return path_.string(); }
  std::string revision() const override { return ""; }
  std::string hub_id() const override { return ""; }
  std::vector<std::filesystem::path> folders() const override { return {}; }

 private:
  std::string config_text_;
  MemoryTensors held_;
};

}  // namespace gyro
