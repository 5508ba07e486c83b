#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "gyro/checkpoint/safetensors.h"
#include "gyro/checkpoint/source.h"
#include "gyro/open/adapter_config.h"
#include "gyro/open/adapter_names.h"

namespace gyro {

/// A LoRA adapter as the model that it makes of its base, as PEFT's merge_and_unload makes it. An adapted weight is
/// W + s B A, or with DoRA m (W + s B A) / ‖W + s B A‖ by rows of W; where the module keeps W as d_in x d_out (Conv1D)
/// or is an embedding, the same of its transpose. It is computed in FP64 when it is read and handed out as F64, so that
/// nothing is rounded; where s B A is zero it is W exactly, but for DoRA. Whole tensors of the adapter
/// (modules_to_save, biases) stand in the place of the base's, all others are the base's, and so are config.json, but
/// for tie_word_embeddings where the adapter brings a head that is not the embedding, and, unless the adapter's folder
/// has a tokenizer of its own, the tokenizer.
class AdapterSource : public TensorSource {
 public:
  /// `folder` holds adapter_model.safetensors, which `config` belongs to. Throws Error naming file and tensor for what
  /// is not understood or does not fit the base.
  AdapterSource(const std::filesystem::path& folder, LoraConfig config, std::shared_ptr<const TensorSource> base);

  /// Throws Error naming the file and the factor for NaN and infinity in it.
  TensorLease read_rows(std::string_view name, int64_t begin, int64_t end) const override;
  void prefetch(std::string_view name, int64_t begin, int64_t end) const override;
  void check() const override;
  std::string sha256() const override;
  void hash_samples(Sha256& hash) const override;
  std::vector<std::string> companions() const override;
  std::string companion(std::string_view name, size_t limit) const override;
  /// The adapter's, and what it is of: "runs/sft (LoRA of Qwen2.5-0.5B)".
  std::string id() const override;
  std::string revision() const override;
  std::string hub_id() const override;
  std::vector<std::filesystem::path> folders() const override;

  std::vector<std::string> all_warnings() const override;

  /// Adds what whoever opened it found odd, before its own warnings.
  void add_warning(const std::string& warning) { warnings_.insert(warnings_.begin(), warning); }
  /// Leaves the base's warnings to whoever has the base as well.
  void leave_base_warnings() { base_warnings_ = false; }

  /// A tensor of the adapter's file.
  struct Factor {
    std::string name;
    const TensorInfo* info = nullptr;
  };
  /// What the file has for one module.
  struct Module {
    Factor a, b, magnitude, bias;
    bool embedding = false;
  };

 private:
  // What becomes of a weight; stored rows x columns, of which `b` has the rows and `a` the columns, or the other way
  // round where `transposed`.
  struct Adapted {
    Factor a, b, magnitude;
    double scaling = 0;
    bool transposed = false;
  };
  struct Bias {
    Factor added;
    double scaling = 0;
  };
  using Modules = std::map<std::string, Module>;
  using Tails = std::multimap<std::string, std::string>;

  Modules sort_tensors();
  void add_whole(const std::string& given, const TensorInfo& info, const std::string& name);
  void settle_head();
  void untie_adapted_head(const Modules& modules);
  bool same_values(const std::string& name, const std::string& other) const;
  void adapt(const std::string& module, const Module& parts);
  void drop_scales(const std::string& name);
  void add_bias(const std::string& module, const Factor& added, double scaling);
  void check_factors(const std::string& module, const Module& parts, const std::string& weight, int64_t rank) const;
  std::string base_name(const std::string& name, const std::string& given) const;
  bool is_saved_module(const std::string& name) const;
  bool turns_squares(const Modules& modules) const;
  void warn_of_targets(const Modules& modules);
  std::vector<double> values(const Factor& factor) const;
  TensorLease adapted_rows(const std::string& name, const Adapted& adapted, int64_t begin, int64_t end) const;
  void read_base(const std::string& name, int64_t begin, int64_t end, double* out) const;
  void rescale(const std::string& name, const Adapted& adapted, int64_t begin, int64_t end, double* rows) const;

  LoraConfig lora_;
  TargetNames targets_;
  std::shared_ptr<const TensorSource> base_;
  std::shared_ptr<SafetensorsFile> file_;
  Tails tails_;  // the base's names by their ends, to find modules that a wrapper of another kind holds
  std::map<std::string, Adapted, std::less<>> adapted_;
  std::map<std::string, Bias, std::less<>> biases_;
  std::map<std::string, Factor, std::less<>> whole_;
  bool squares_turned_ = false;  // of a square weight the shapes do not tell which way it is stored
  bool own_tokenizer_ = false;
  bool base_warnings_ = true;
  std::string tied_head_, embeddings_;  // the head that the adapter adapts, and what it is in the base; else empty
  bool untied_ = false;                 // the head is not the embedding, as it is the base's
};

}  // namespace gyro
