#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gyro/edit/recipe.h"

namespace gyro {

/// "every attention matrix" and the like.
const char* group_text(Group group);
/// What a variant's matrices are, in one line for people.
std::string describe(const Variant& variant);

/// α′ of Table 4: each type's mean α of a diff of the two, rounded to one decimal; empty if `run.stop` ended it. Throws
/// Error for a type that has no mean α.
std::map<MatrixType, double> automatic_scales(const std::shared_ptr<const TensorSource>& base,
                                              const std::shared_ptr<const TensorSource>& post, const RunOptions& run);

/// Where a named variant's base comes from.
enum class VariantBase {
  Base,
  Fake,    ///< the post plus gaussian noise of the norm of post − base: a control of what any base would do
  Sibling  ///< another descendant of the base, such as the Instruct model in eq. 12
};

struct NamedVariant {
  std::string name;
  Variant variant;  ///< its scales are not yet set
  VariantBase base = VariantBase::Base;
  bool scaled = false;  ///< `automatic_scales` are to be set
};

/// A variant by its name, of which the parts are joined by "-":
///   ablate|restore, attention|mlp|all, out|in, then `aligned` (ablate), `fake` or `sibling`: eqs. 10, 11, 15, 16 (12)
///   replace, replace-scaled: eq. 14 and eq. 9 with Table 4's α′
///   replace-fake: eq. 14 with a fake base; replace-noise: the post plus noise of the norm, matrix by matrix, of what
///   eq. 14 changes in it
///   noise, noise-attention, noise-mlp: the base plus noise of the norm of post − base, in place of the post's matrices
///   base-attention, base-mlp: the base's own matrices
/// Nothing for what is no such name.
std::optional<NamedVariant> named_variant(std::string_view name);

/// Whether a named variant shows what any base, or noise, would do, or the base's own matrices do: it is aligned, of a
/// fake base, noise, or base-…. False for what is no such name.
bool is_control_variant(std::string_view name);

/// The names of the paper's variants: replace, replace-scaled, and restorations and ablations of attention and MLP on
/// either side.
std::vector<std::string> paper_variant_names();
/// The names of their controls: aligned and fake ablations, fake restorations, noise, the base's own matrices.
std::vector<std::string> control_variant_names();

}  // namespace gyro
