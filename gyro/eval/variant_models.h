#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "gyro/edit/variants.h"
#include "gyro/infer/engine.h"

namespace gyro {

/// The name of the post as it is, beside those that `named_variant` knows.
inline constexpr std::string_view kOriginal = "original";

/// Names in place of "paper" (kOriginal and the paper's variants) and "controls", each once, kOriginal first. Throws
/// Error, the field "variants", for what is no name.
std::vector<std::string> expand_variants(const std::vector<std::string>& names);

/// Constructions of a base and its post, to be run one after the other by one engine.
struct VariantSources {
  std::shared_ptr<const TensorSource> base, post;
  std::shared_ptr<const TensorSource> sibling;  ///< of eq. 12; may be null
  std::optional<DType> dtype;  ///< that constructed matrices are stored in, as the engine's; nothing: post's
  uint64_t seed = 0;           ///< of noise
  RunOptions run;
};

class VariantModels {
 public:
  /// `names` as `expand_variants` gives them. Throws Error: a variant that needs a sibling where there is none.
  VariantModels(VariantSources sources, const std::vector<std::string>& names);

  /// Puts a variant's weights into an engine that runs the post. Throws Error as Constructions and swap do.
  void load(size_t variant, Engine& engine);
  /// What the variant is, in one line; its scales are taken from a diff if no run has needed them yet.
  std::string description(size_t variant);
  /// α′ by type, if a variant has needed them.
  const std::map<MatrixType, double>& scales() const { return scales_; }

 private:
  std::shared_ptr<const TensorSource> base_of(const NamedVariant& variant) const;
  void set_scales(NamedVariant& named);

  VariantSources sources_;
  std::vector<std::optional<NamedVariant>> variants_;  // nothing: the post as it is
  std::map<MatrixType, double> scales_;
};

}  // namespace gyro
