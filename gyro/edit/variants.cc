#include "gyro/edit/variants.h"

#include <fmt/format.h>

#include <algorithm>

#include "gyro/base/error.h"
#include "gyro/diff/runner.h"

namespace gyro {
namespace {

std::string describe_scales(const Variant& variant) {
  std::string scales;
  const auto& all = variant.scales;
  const auto other = [&](const auto& each) { return each.second != all.begin()->second; };
  if (all.size() == kAllMatrixTypes.size() && std::none_of(all.begin(), all.end(), other)) {
    return fmt::format("{:g} for every type", all.begin()->second);
  }
  for (const auto& [type, scale] : all) {
    if (type_counts(type)) scales += fmt::format("{}{} {:g}", scales.empty() ? "" : ", ", type_name(type), scale);
  }
  return scales.empty() ? "1 (eq. 14)" : scales;
}

std::vector<std::string_view> parts_of(std::string_view name) {
  std::vector<std::string_view> parts;
  for (size_t at = 0; at <= name.size();) {
    const size_t end = std::min(name.find('-', at), name.size());
    parts.push_back(name.substr(at, end - at));
    at = end + 1;
  }
  return parts;
}

std::optional<Group> group_of(std::string_view name) {
  if (name == "attention") return Group::Attention;
  if (name == "mlp") return Group::Mlp;
  if (name == "all") return Group::All;
  return std::nullopt;
}

// ablate-attention-out-aligned and the like.
bool take_sided(const std::vector<std::string_view>& parts, NamedVariant& out) {
  const std::optional<Group> group = parts.size() >= 3 ? group_of(parts[1]) : std::nullopt;
  if (!group || (parts[2] != "out" && parts[2] != "in") || parts.size() > 4) return false;
  const bool ablate = parts[0] == "ablate";
  out.variant.what.operation = ablate ? Operation::Ablate : Operation::Restore;
  out.variant.what.side = parts[2] == "out" ? Side::Out : Side::In;
  out.variant.on = *group;
  if (parts.size() == 3) return true;
  out.variant.what.align_signs = parts[3] == "aligned";
  out.base = parts[3] == "fake" ? VariantBase::Fake : parts[3] == "sibling" ? VariantBase::Sibling : VariantBase::Base;
  if (parts[3] == "aligned") return ablate;
  return parts[3] == "fake" || (parts[3] == "sibling" && !ablate);
}

bool take_whole(const std::vector<std::string_view>& parts, NamedVariant& out) {
  const bool noise = parts[0] == "noise";
  const std::optional<Group> group = parts.size() == 1 && noise ? Group::All
                                     : parts.size() == 2        ? group_of(parts[1])
                                                                : std::nullopt;
  if (!group) return false;
  out.variant.on = *group;
  out.variant.what.operation = noise ? Operation::Noise : Operation::Interpolate;
  out.variant.what.t = 0;
  return true;
}

}  // namespace

const char* group_text(Group group) {
  return group == Group::Attention ? "every attention matrix"
         : group == Group::Mlp     ? "every MLP matrix"
                                   : "every attention and MLP matrix";
}

std::string describe(const Variant& variant) {
  const Construction& what = variant.what;
  if (what.as_noise) {
    Variant exact = variant;
    exact.what.as_noise = false;
    return fmt::format("the post plus gaussian noise (seed {}) of the norm, matrix by matrix, of what this changes: {}",
                       what.seed, describe(exact));
  }
  const bool out = what.side == Side::Out;
  const char* where = group_text(variant.on);
  switch (what.operation) {
    case Operation::Replace:
      return fmt::format("{} is U_p (α′ Σ_b) V_pᵀ (eq. 9), α′: {}", where, describe_scales(variant));
    case Operation::Ablate:
      return fmt::format("{} is {}{}", where, out ? "U_p Σ_p V_bᵀ (eq. 10)" : "U_b Σ_p V_pᵀ (eq. 15)",
                         what.align_signs ? ", the base's pairs flipped to agree in sign with the post's" : "");
    case Operation::Restore:
      return fmt::format("{} is {}", where,
                         out ? "U_p Σ_p (V_b U_bᵀ U_p)ᵀ (eq. 11)" : "(U_b V_bᵀ V_p) Σ_p V_pᵀ (eq. 16)");
    case Operation::TransplantSigma:
      return fmt::format("{} is U_b Σ_p V_bᵀ: the post's singular values on the base", where);
    case Operation::TransplantRotation:
      return fmt::format("{} is U_p Σ_b V_pᵀ: the post's singular vectors with the base's values", where);
    case Operation::Noise:
      return fmt::format("{} is the base plus gaussian noise of the norm of post − base (seed {})", where, what.seed);
    case Operation::Interpolate:
      return fmt::format(
          "{} lies at t = {:g} between base (0) and post (1): rotations along the geodesic, singular "
          "values linearly in log σ",
          where, what.t);
  }
  return where;
}

std::map<MatrixType, double> automatic_scales(const std::shared_ptr<const TensorSource>& base,
                                              const std::shared_ptr<const TensorSource>& post, const RunOptions& run) {
  DiffRequest request;
  request.base = base->path();
  request.posts = {post->path()};
  request.opened = {{base->path(), base}, {post->path(), post}};
  request.null_draws = 0;
  request.run = run;
  request.warn = [](const std::string&) {};
  const DiffOutcome outcome = run_diff(request);
  std::map<MatrixType, double> scales;
  if (!outcome.result) return scales;
  for (const TypeRow& row : outcome.result->comparisons.front().types) {
    if (!type_counts(row.type)) continue;
    if (!(row.alpha_prime > 0)) fail_field("scale", "{} has no mean α to take; give a number", type_name(row.type));
    scales[row.type] = row.alpha_prime;
  }
  return scales;
}

std::optional<NamedVariant> named_variant(std::string_view name) {
  NamedVariant out;
  out.name = name;
  out.variant.folder = out.name;
  const std::vector<std::string_view> parts = parts_of(name);
  if (name == "replace" || name == "replace-scaled" || name == "replace-fake" || name == "replace-noise") {
    out.variant.what.operation = Operation::Replace;
    out.scaled = name == "replace-scaled";
    out.base = name == "replace-fake" ? VariantBase::Fake : VariantBase::Base;
    out.variant.what.as_noise = name == "replace-noise";
    return out;
  }
  const bool sided = parts[0] == "ablate" || parts[0] == "restore", whole = parts[0] == "noise" || parts[0] == "base";
  if ((sided && take_sided(parts, out)) || (whole && take_whole(parts, out))) return out;
  return std::nullopt;
}

bool is_control_variant(std::string_view name) {
  const std::optional<NamedVariant> named = named_variant(name);
  if (!named) return false;
  const Construction& what = named->variant.what;
  return named->base == VariantBase::Fake || what.align_signs || what.as_noise || what.operation == Operation::Noise ||
         what.operation == Operation::Interpolate;
}

std::vector<std::string> paper_variant_names() {
  std::vector<std::string> names;
  for (const char* operation : {"restore", "ablate"}) {
    for (const char* group : {"attention", "mlp"}) {
      for (const char* side : {"out", "in"}) names.push_back(fmt::format("{}-{}-{}", operation, group, side));
    }
  }
  names.insert(names.end(), {"replace", "replace-scaled"});
  return names;
}

std::vector<std::string> control_variant_names() {
  std::vector<std::string> names;
  for (const char* group : {"attention", "mlp"}) {
    for (const char* side : {"out", "in"}) {
      names.push_back(fmt::format("ablate-{}-{}-aligned", group, side));
      names.push_back(fmt::format("ablate-{}-{}-fake", group, side));
      names.push_back(fmt::format("restore-{}-{}-fake", group, side));
    }
    names.push_back(fmt::format("base-{}", group));
    names.push_back(fmt::format("noise-{}", group));
  }
  return names;
}

}  // namespace gyro
