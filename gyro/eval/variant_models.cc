#include "gyro/eval/variant_models.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "gyro/base/error.h"
#include "gyro/edit/overlay.h"

namespace gyro {
namespace {

std::shared_ptr<const TensorSource> overlay(const VariantSources& sources, std::shared_ptr<const TensorSource> base,
                                            std::shared_ptr<const TensorSource> post, Variant variant) {
  BuildRequest request;
  request.base = std::move(base);
  request.post = std::move(post);
  request.variants = {std::move(variant)};
  request.dtype = sources.dtype;
  request.run = sources.run;
  request.run.progress = {};
  return overlay_of(std::make_shared<const Constructions>(request), 0);
}

}  // namespace

std::vector<std::string> expand_variants(const std::vector<std::string>& names) {
  std::vector<std::string> out = {std::string(kOriginal)};
  const auto add = [&](const std::vector<std::string>& more) {
    for (const std::string& name : more) {
      if (std::ranges::find(out, name) == out.end()) out.push_back(name);
    }
  };
  for (const std::string& name : names) {
    if (name == "paper") {
      add(paper_variant_names());
    } else if (name == "controls") {
      add(control_variant_names());
    } else if (name == kOriginal || named_variant(name)) {
      add({name});
    } else {
      fail_field("variants", "{} is none of: original, paper, controls, {}, {}", printable(name, 60),
                 fmt::join(paper_variant_names(), ", "), fmt::join(control_variant_names(), ", "));
    }
  }
  return out;
}

VariantModels::VariantModels(VariantSources sources, const std::vector<std::string>& names)
    : sources_(std::move(sources)) {
  for (const std::string& name : names) {
    variants_.push_back(named_variant(name));
    if (!variants_.back()) continue;
    variants_.back()->variant.what.seed = sources_.seed;
    if (variants_.back()->base == VariantBase::Sibling && !sources_.sibling) {
      fail_field("sibling", "{} takes the factors of a sibling: none is named", name);
    }
  }
}

std::shared_ptr<const TensorSource> VariantModels::base_of(const NamedVariant& variant) const {
  if (variant.base == VariantBase::Sibling) return sources_.sibling;
  if (variant.base == VariantBase::Base) return sources_.base;
  // Noise puts it on the base of a request: here the post is that.
  Variant noise;
  noise.folder = "fake";
  noise.what.operation = Operation::Noise;
  noise.what.seed = sources_.seed;
  return overlay(sources_, sources_.post, sources_.base, noise);
}

void VariantModels::set_scales(NamedVariant& named) {
  if (!named.scaled) return;
  if (scales_.empty()) scales_ = automatic_scales(sources_.base, sources_.post, sources_.run);
  named.variant.scales = scales_;
}

void VariantModels::load(size_t variant, Engine& engine) {
  if (!variants_[variant]) {
    engine.swap(*sources_.post);
    return;
  }
  NamedVariant& named = *variants_[variant];
  set_scales(named);
  engine.swap(*overlay(sources_, base_of(named), sources_.post, named.variant));
}

std::string VariantModels::description(size_t variant) {
  if (!variants_[variant]) return "the post as it is";
  NamedVariant& named = *variants_[variant];
  set_scales(named);
  const bool bases = named.variant.what.operation == Operation::Interpolate;  // at 0
  std::string text =
      bases ? fmt::format("{} is the base's own", group_text(named.variant.on)) : describe(named.variant);
  if (named.base == VariantBase::Fake) text += ", the base being a fake: the post plus noise of the change's norm";
  if (named.base == VariantBase::Sibling) text += ", the base being the sibling (eq. 12)";
  return text;
}

}  // namespace gyro
