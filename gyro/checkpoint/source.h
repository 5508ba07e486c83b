#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "gyro/base/sha256.h"
#include "gyro/checkpoint/config.h"
#include "gyro/tensor/dtype.h"

namespace gyro {

/// What a source says of a tensor: the dtype of the elements that it hands out, and the shape, row-major.
struct SourceTensor {
  DType dtype = DType::F32;
  std::vector<int64_t> shape;

  /// Extent of the first dimension (1 of a scalar), and bytes of what lies under one of its steps, and of all.
  int64_t rows() const { return shape.empty() ? 1 : shape.front(); }
  uint64_t row_bytes() const;
  uint64_t byte_size() const { return static_cast<uint64_t>(rows()) * row_bytes(); }
};

/// Bytes that a source has handed out. They stay where they are as long as `owner`, or a copy of it, lives.
struct TensorLease {
  std::span<const std::byte> bytes;
  std::shared_ptr<const void> owner;
  bool mapped = false;  ///< of a mapped file: their pages may be released after use
};

/// A file that tensors lie in.
struct SourceFile {
  std::string name;
  uint64_t bytes = 0;
  int64_t tensors = 0;
};

/// Where a model's tensors come from. Names, shapes and the order of rows are those of Hugging Face's checkpoints: a
/// format that has others translates them, and one whose elements have no size of their own (quantised by blocks)
/// decodes the rows that are asked for and says the dtype it decodes to. Its functions may be called from several
/// threads.
class TensorSource {
 public:
  using Tensors = std::map<std::string, SourceTensor, std::less<>>;

  virtual ~TensorSource() = default;
  TensorSource(const TensorSource&) = delete;
  TensorSource& operator=(const TensorSource&) = delete;

  /// How messages call it; of a checkpoint on disk its folder.
  const std::filesystem::path& path() const { return path_; }
  const ModelConfig& config() const { return config_; }
  /// All tensors by name.
  const Tensors& tensors() const { return tensors_; }
  /// What was odd about finding and opening it, a line each without its path ("model.safetensors is read; ...").
  const std::vector<std::string>& warnings() const { return warnings_; }
  /// The same with its path ("FOLDER: model.safetensors is read; ..."), behind those of what it is made of: for whoever
  /// maps it to pass on (ModelMap::warnings).
  virtual std::vector<std::string> all_warnings() const;
  /// The tensor of that name, or null.
  const SourceTensor* find(std::string_view name) const;

  /// Rows [begin, end) of a tensor that there is (0 <= begin <= end <= rows()), and all of one. Throws Error naming
  /// what cannot be read.
  virtual TensorLease read_rows(std::string_view name, int64_t begin, int64_t end) const = 0;
  TensorLease read(std::string_view name) const;
  /// Has those rows brought near, without waiting for it.
  virtual void prefetch(std::string_view name, int64_t begin, int64_t end) const = 0;
  /// Throws Error naming the file if bytes that were handed out may not be what they should (MappedFile::check).
  /// Whoever has worked with leased bytes asks before passing on what came of it: see `checked`.
  virtual void check() const = 0;

  /// SHA-256 (hex) of the layout: names, shapes, dtypes and sizes as stored. Tells layouts apart without reading
  /// weights.
  virtual std::string sha256() const = 0;
  /// Adds samples of every tensor's content to `hash`: with the layout they tell models apart without reading them
  /// whole.
  virtual void hash_samples(Sha256& hash) const = 0;
  /// SHA-256 (hex) of layout and samples: the same for the same content, wherever it lies.
  std::string identity() const;

  /// The other files of the model (config.json, tokenizer, ...) by their plain names, sorted; and the content of one,
  /// of at most `limit` bytes. Throws Error naming the file.
  virtual std::vector<std::string> companions() const = 0;
  virtual std::string companion(std::string_view name, size_t limit) const = 0;

  /// The files that its tensors lie in, by name; none of a source that has none of its own.
  virtual std::vector<SourceFile> files() const { return {}; }

  /// How reports call the model, its revision, and its name on the Hugging Face Hub (`owner/name`), each empty if none.
  virtual std::string id() const = 0;
  virtual std::string revision() const = 0;
  virtual std::string hub_id() const = 0;
  /// The folders that it is read from: nothing may be written in their place.
  virtual std::vector<std::filesystem::path> folders() const { return {path_}; }

  /// The names of a tensor T's scales: T_scale_inv or T_scale; of an FP8 tensor X.weight also X.scale, X.scale_inv,
  /// X.scale_weight. A sound checkpoint has one of them at most.
  std::vector<std::string> scales_of(const std::string& name) const;
  /// Whether `name` is that of scales which belong to an FP8 tensor: those by which it is stored, or of another thing
  /// of the same module, an FP8 `weight` (input_scale, scale_input). A model has others, such as logit_scale.
  bool is_fp8_scale(std::string_view name) const;
  /// Number of elements of all floating-point tensors but FP8 scales.
  int64_t parameters() const;
  /// Names of the dtypes that occur, most bytes first.
  std::vector<std::string> dtypes() const;

 protected:
  explicit TensorSource(std::filesystem::path path) : path_(std::move(path)) {}

  std::filesystem::path path_;
  ModelConfig config_;
  Tensors tensors_;
  std::vector<std::string> warnings_;
};

/// The folders of all of them.
std::vector<std::filesystem::path> input_folders(std::initializer_list<const TensorSource*> sources);

/// work()'s result, if it has one. Where bytes of one of `sources` were not what they should be, Error says so,
/// whatever came of them: a result, or another Error.
template <typename Sources, typename Work>
auto checked(const Sources& sources, const Work& work) {
  const auto check = [&] {
    for (const TensorSource* source : sources) source->check();
  };
  try {
    if constexpr (std::is_void_v<decltype(work())>) {
      work();
      check();
    } else {
      auto result = work();
      check();
      return result;
    }
  } catch (...) {
    check();
    throw;
  }
}
template <typename Work>
auto checked(std::initializer_list<const TensorSource*> sources, const Work& work) {
  return checked<std::initializer_list<const TensorSource*>, Work>(sources, work);
}

}  // namespace gyro
