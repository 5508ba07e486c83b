#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "gyro/checkpoint/safetensors.h"

namespace gyro {

/// What Gyro reads of config.json. Fields that the file lacks keep the defaults; `complete_config` in the arch room
/// fills in what an architecture implies and says what is missing. Nested `text_config` (gemma3, multimodal) is looked
/// through.
struct ModelConfig {
  std::string architecture;  ///< architectures[0], may be empty
  std::string model_type;
  int64_t hidden_size = 0;
  int64_t intermediate_size = 0;
  int64_t num_hidden_layers = 0;
  int64_t num_attention_heads = 0;
  int64_t num_key_value_heads = 0;  ///< defaults to num_attention_heads
  int64_t head_dim = 0;             ///< defaults to hidden_size / num_attention_heads
  bool kv_heads_given = false;      ///< whether the file has num_key_value_heads, and
  bool head_dim_given = false;      ///< head_dim: some architectures have other defaults (see arch/arch.h)
  bool tie_word_embeddings = false;
  int64_t fp8_block_rows = 0;  ///< quantization_config.weight_block_size, 0 when absent
  int64_t fp8_block_cols = 0;
  std::string quantization;  ///< quantization_config.quant_method, empty when absent
};

/// Parses the text of a config.json. Throws Error naming `subject` for what is not JSON, wrongly typed, negative,
/// nested too deep, or contradicts itself (heads not divisible by KV heads, more than 100,000 layers, ...).
ModelConfig parse_config(std::string_view subject, std::string_view text);

/// The `weight_map` of a model.safetensors.index.json: the shard of each tensor. Throws Error naming `subject` for what
/// is not JSON, has no such object of strings, or names a shard that is not a plain file name.
std::map<std::string, std::string, std::less<>> parse_index(std::string_view subject, std::string_view text);

/// A checkpoint folder as Hugging Face lays it out: config.json, and model.safetensors or model.safetensors.index.json
/// with shards (symbolic links into a blob cache are normal). Where both are there, model.safetensors is the
/// checkpoint, as for transformers. Tensors stay on disk, mapped. A `.safetensors` file on its own has no config and is
/// not taken.
class Checkpoint {
 public:
  /// Opens and checks headers only: every shard of the index is there, each tensor of the index is in its shard, none
  /// is in two shards, shard names are plain names inside the folder. Throws Error naming the file or tensor.
  explicit Checkpoint(const std::filesystem::path& folder);

  const std::filesystem::path& path() const { return path_; }
  const ModelConfig& config() const { return config_; }

  struct Entry {
    const SafetensorsFile* file = nullptr;
    const TensorInfo* info = nullptr;
    std::span<const std::byte> bytes() const { return file->bytes(*info); }
  };
  /// The tensor of that name, or nothing.
  std::optional<Entry> find(std::string_view name) const;
  /// All tensors by name.
  const std::map<std::string, Entry, std::less<>>& tensors() const { return tensors_; }

  /// Whether `name` is that of scales which belong to an FP8 tensor: T_scale or T_scale_inv of an FP8 tensor T, or one
  /// that ends so (input_scale) beside an FP8 `weight` of the same module. A model has others, such as logit_scale.
  bool is_fp8_scale(std::string_view name) const;
  /// Number of elements of all floating-point tensors but FP8 scales.
  int64_t parameters() const;
  /// Names of the dtypes that occur, most bytes first.
  std::vector<std::string> dtypes() const;
  /// SHA-256 (hex) over each shard's name-ordered header bytes and file size: tells checkpoints' layouts apart without
  /// reading the weights.
  std::string sha256() const;
  /// The revision when the path is `.../snapshots/<commit>` of a Hugging Face cache, else empty.
  std::string revision() const;
  /// How reports call it: `owner/name` for a Hugging Face cache path, else the path as given without a trailing slash.
  std::string id() const;
  /// Its name on the Hugging Face Hub, `owner/name`: of a cache path, or of a path that is given like that. Else empty.
  std::string hub_id() const;

 private:
  void open_single(const std::filesystem::path& path);
  void open_shards(const std::filesystem::path& index_path);

  std::filesystem::path path_;
  ModelConfig config_;
  std::vector<std::unique_ptr<SafetensorsFile>> files_;
  std::map<std::string, Entry, std::less<>> tensors_;
};

}  // namespace gyro
