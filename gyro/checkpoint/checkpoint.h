#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "gyro/checkpoint/safetensors.h"
#include "gyro/checkpoint/source.h"

namespace gyro {

/// The `weight_map` of a model.safetensors.index.json: the shard of each tensor.
using ShardIndex = std::map<std::string, std::string, std::less<>>;
/// Throws Error naming `subject` for what
/// is not JSON, has no such object of strings, or names a shard that is not a plain file name.
ShardIndex parse_index(std::string_view subject, std::string_view text);

/// A checkpoint folder as Hugging Face lays it out: config.json, and model.safetensors or model.safetensors.index.json
/// with shards (symbolic links into a blob cache are normal). Where both are there, model.safetensors is the
/// checkpoint, as for transformers, and a warning says so. Tensors stay on disk, mapped, under their names without what
/// wrappers put around them (unwrap_names). Experts that are packed in MXFP4 (gpt-oss: X_blocks and X_scales) are the
/// one tensor X in BF16, as transformers unpacks them, decoded when its rows are read. A `.safetensors` file on its own
/// has no config and is not taken.
class Checkpoint : public TensorSource {
 public:
  /// Opens and checks headers only: every shard of the index is there, shard names are plain names inside the folder,
  /// each tensor of the index is in one of them. As for transformers, all tensors of the shards are the model's,
  /// wherever the index says they are, and of several the last shard's; warnings tell. Throws Error naming the file or
  /// tensor.
  explicit Checkpoint(const std::filesystem::path& folder);

  TensorLease read_rows(std::string_view name, int64_t begin, int64_t end) const override;
  void prefetch(std::string_view name, int64_t begin, int64_t end) const override;
  void check() const override;
  /// Over each shard's name-ordered header bytes and file size.
  std::string sha256() const override;
  void hash_samples(Sha256& hash) const override;
  std::vector<std::string> companions() const override;
  std::string companion(std::string_view name, size_t limit) const override;
  std::vector<SourceFile> files() const override;
  /// `owner/name` for a Hugging Face cache path, else the path as given without a trailing slash.
  std::string id() const override;
  /// The commit when the path is `.../snapshots/<commit>` of a Hugging Face cache.
  std::string revision() const override;
  /// That of a cache path, or of a path that is given like that.
  std::string hub_id() const override;

 private:
  using File = std::shared_ptr<const SafetensorsFile>;
  struct Place {
    const File* file = nullptr;
    const TensorInfo* info = nullptr;
  };
  struct Packed {
    const Place* blocks = nullptr;
    const Place* scales = nullptr;
  };
  void open_single(const std::filesystem::path& path);
  void open_shards(const std::filesystem::path& index_path);
  void add_shards(const ShardIndex& index);
  void warn_of_index(const std::filesystem::path& path);
  void unwrap();
  void add(const std::string& name, const File& file, const TensorInfo& info);
  void unpack();
  TensorLease decoded(const Packed& packed, int64_t begin, int64_t end) const;
  std::span<const std::byte> stored(const Place& place) const { return (*place.file)->bytes(*place.info); }

  std::vector<File> files_;
  std::map<std::string, Place, std::less<>> places_;   // as stored
  std::map<std::string, Packed, std::less<>> packed_;  // of those, in MXFP4, by what they are handed out as
};

}  // namespace gyro
