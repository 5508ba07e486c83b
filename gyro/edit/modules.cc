#include "gyro/edit/modules.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <optional>
#include <string_view>

#include "gyro/base/error.h"

namespace gyro {
namespace {

constexpr std::string_view kWeight = ".weight";

std::vector<std::string> parts_of(std::string_view module) {
  std::vector<std::string> parts;
  for (size_t begin = 0; begin <= module.size();) {
    const size_t end = std::min(module.find('.', begin), module.size());
    parts.emplace_back(module.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

using Words = std::set<std::string, std::less<>>;

// "attn.c_proj"
std::string last_two(const std::string& module) {
  const size_t last = module.rfind('.');
  return last == std::string::npos ? module : short_module(module.substr(0, last)) + module.substr(last);
}

// Modules with a matrix whose names have one of the endings, and are none of `modules`.
std::vector<std::string> namesakes(const TensorSource& model, const Words& modules, const Words& endings) {
  std::vector<std::string> out;
  for (const auto& [name, tensor] : model.tensors()) {
    if (!name.ends_with(kWeight) || tensor.shape.size() < 2) continue;
    const std::string module = name.substr(0, name.size() - kWeight.size());
    const bool ends_so = endings.contains(short_module(module)) || endings.contains(last_two(module));
    if (ends_so && !modules.contains(module)) out.push_back(module);
  }
  return out;
}

// The first parts of `others` that no name of `modules` has; nothing if one has no such part.
std::optional<std::set<std::string>> other_branches(const Words& modules, const std::vector<std::string>& others) {
  std::set<std::string> ours, branches;
  for (const std::string& module : modules) {
    for (std::string& part : parts_of(module)) ours.insert(std::move(part));
  }
  const auto is_number = [](const std::string& part) {
    return part.find_first_not_of("0123456789") == std::string::npos;
  };
  for (const std::string& other : others) {
    const std::vector<std::string> parts = parts_of(other);
    const auto part =
        std::ranges::find_if(parts, [&](const std::string& p) { return !is_number(p) && !ours.contains(p); });
    if (part == parts.end()) return std::nullopt;
    branches.insert(*part);
  }
  return branches;
}

// Parts of names are taken literally.
std::string alternatives(const auto& words) {
  std::string out;
  for (const std::string& word : words) {
    if (!out.empty()) out += '|';
    for (const char c : word) {
      if (std::string_view("\\^$.|?*+()[]{}").find(c) != std::string_view::npos) out += '\\';
      out += c;
    }
  }
  return out;
}

}  // namespace

std::string module_of(const MatrixSite& site) {
  return site.tensor.ends_with(kWeight) ? site.tensor.substr(0, site.tensor.size() - kWeight.size()) : site.tensor;
}

std::string short_module(std::string_view module) {
  return std::string(module.substr(module.rfind('.') + 1));
}

int64_t module_rank(const MatrixSite& site, int64_t rank) {
  return std::min({rank, site.d_in, site.d_out});
}

void check_rank(const std::vector<MatrixSite>& sites, int64_t rank) {
  int64_t most = 0;
  for (const MatrixSite& site : sites) most = std::max(most, std::min(site.d_in, site.d_out));
  if (rank > most) fail_field("rank", "{} is more than the {} components of the largest module", rank, most);
}

std::vector<MatrixSite> module_sites(const ModelMap& map, const std::set<std::string>& target_modules) {
  std::vector<MatrixSite> sites;
  std::set<std::string> found;
  std::set<std::string> own_names;
  for (const MatrixSite& site : map.sites) own_names.insert(short_module(module_of(site)));
  std::map<std::string, std::string> parts;  // targets that are parts of a fused tensor, and that
  for (const MatrixSite& site : map.sites) {
    const std::string name = short_module(module_of(site));
    const auto names_it = [&](const std::string& target) {
      return target == name || (!own_names.contains(target) && type_from_name(target) == site.type);
    };
    const auto named = std::ranges::find_if(target_modules, names_it);
    if (target_modules.empty() ? site.type == MatrixType::Router : named == target_modules.end()) continue;
    if (site.sliced && site.expert >= 0) {
      fail_field(
          "target_modules",
          "{} holds all experts of its layer, and an adapter attaches to single matrices: name other projections",
          site.tensor);
    }
    if (site.sliced) {
      if (named != target_modules.end()) parts.emplace(*named, site.tensor);
      continue;
    }
    std::ranges::copy_if(target_modules, std::inserter(found, found.end()), names_it);
    sites.push_back(site);
  }
  for (const std::string& target : target_modules) {
    if (found.contains(target)) continue;
    const auto part = parts.find(target);
    if (part == parts.end()) fail_field("target_modules", "the model has no projection '{}'", target);
    fail_field("target_modules", "{} is a part of {}, and an adapter attaches to it whole: name '{}'", target,
               part->second, short_module(module_of({.tensor = part->second})));
  }
  return sites;
}

bool stored_transposed(const std::vector<MatrixSite>& sites) {
  return std::ranges::any_of(sites, &MatrixSite::transposed);
}

TargetModules target_modules(const TensorSource& model, const std::vector<std::string>& modules) {
  const Words names(modules.begin(), modules.end());
  Words endings, longer;
  for (const std::string& module : modules) endings.insert(short_module(module));
  Words shared;  // endings that others have
  for (const std::string& other : namesakes(model, names, endings)) shared.insert(short_module(other));
  for (const std::string& module : modules) {
    const std::string last = short_module(module);
    longer.insert(shared.contains(last) ? last_two(module) : last);
  }
  const std::vector<std::string> others = namesakes(model, names, longer);
  if (others.empty()) return std::vector<std::string>(longer.begin(), longer.end());
  const auto branches = other_branches(names, others);
  if (!branches) return std::vector<std::string>(names.begin(), names.end());
  return fmt::format(R"((?!(?:.*\.)?(?:{})\.).*\.(?:{}))", alternatives(*branches), alternatives(endings));
}

}  // namespace gyro
