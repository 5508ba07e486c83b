#include "gyro/checkpoint/unwrap.h"

#include <algorithm>
#include <cctype>
#include <vector>

#include "gyro/base/error.h"

namespace gyro {
namespace {

struct Wrapper {
  std::string_view text;  // with the dot
  std::string_view origin;
};
constexpr Wrapper kInner[] = {
    {"_orig_mod.", "torch.compile"}, {"_fsdp_wrapped_module.", "FSDP"}, {"_checkpoint_wrapped_module.", "FSDP"}};
constexpr Wrapper kOuter[] = {
    {"module.", "DataParallel"}, {"base_model.model.", "PEFT"}, {"pretrained_model.", "TRL's value heads"}};
constexpr Wrapper kBaseLayer = {"base_layer.", "PEFT"};

using Names = std::map<std::string, std::string, std::less<>>;

// Where `part`, which ends with a dot, stands in a name as a whole step of it.
size_t find_part(std::string_view name, std::string_view part) {
  size_t at = name.find(part);
  while (at != name.npos && at != 0 && name[at - 1] != '.') at = name.find(part, at + 1);
  return at;
}

bool drop_part(std::string& name, std::string_view part) {
  bool dropped = false;
  for (size_t at = find_part(name, part); at != name.npos; at = find_part(name, part)) {
    name.erase(at, part.size());
    dropped = true;
  }
  return dropped;
}

// Whether it is a tensor of one of a model's layers: "layers.0.", "h.0.".
bool is_of_layer(std::string_view name) {
  for (const std::string_view list : {"layers.", "h.", "layer.", "blocks.", "block."}) {
    const size_t at = find_part(name, list);
    if (at == name.npos) continue;
    size_t end = at + list.size();
    while (end < name.size() && std::isdigit(static_cast<unsigned char>(name[end]))) ++end;
    if (end > at + list.size() && end < name.size() && name[end] == '.') return true;
  }
  return false;
}

// Whether it is a factor of an adapter: a whole step of the name says so.
bool is_lora(const std::string& name) {
  const std::string with_dot = fmt::format("{}.", name);
  return std::ranges::any_of(std::initializer_list<std::string_view>{"lora_A.", "lora_B.", "lora_embedding_A.",
                                                                     "lora_embedding_B.", "lora_magnitude_vector."},
                             [&](std::string_view part) { return find_part(with_dot, part) != with_dot.npos; });
}

// Takes prefixes off the front as long as every tensor of a layer has one.
void take_off_outer(Names& names, std::vector<Wrapper>& taken) {
  const auto wraps_all = [&](const Wrapper& wrapper) {
    bool found = false;
    for (const auto& [stored, name] : names) {
      if (!is_of_layer(name)) continue;
      if (!name.starts_with(wrapper.text)) return false;
      found = true;
    }
    return found;
  };
  for (auto at = std::ranges::find_if(kOuter, wraps_all); at != std::end(kOuter);
       at = std::ranges::find_if(kOuter, wraps_all)) {
    taken.push_back(*at);
    for (auto& [stored, name] : names) {
      if (name.starts_with(at->text)) name.erase(0, at->text.size());
    }
  }
}

std::string warning_of(const std::vector<Wrapper>& taken, const Names& names) {
  if (taken.empty()) return "";
  std::vector<std::string> parts;
  for (const Wrapper& wrapper : taken) {
    std::string part = fmt::format("\"{}\" ({})", wrapper.text, wrapper.origin);
    if (std::ranges::find(parts, part) == parts.end()) parts.push_back(std::move(part));
  }
  const auto first = std::ranges::find_if(names, [](const auto& entry) { return entry.first != entry.second; });
  return fmt::format("{} in the names of its tensors is left out: \"{}\" is read as \"{}\"", fmt::join(parts, " and "),
                     printable(first->first), printable(first->second));
}

}  // namespace

std::string without_outer_wrappers(std::string_view name) {
  const auto is_wrapped = [&](const Wrapper& wrapper) { return name.starts_with(wrapper.text); };
  for (auto at = std::ranges::find_if(kOuter, is_wrapped); at != std::end(kOuter);
       at = std::ranges::find_if(kOuter, is_wrapped)) {
    name.remove_prefix(at->text.size());
  }
  return std::string(name);
}

std::string without_inner_wrappers(std::string_view name, bool base_layer) {
  std::string out(name);
  for (const Wrapper& wrapper : kInner) drop_part(out, wrapper.text);
  if (base_layer) drop_part(out, kBaseLayer.text);
  return out;
}

UnwrappedNames unwrap_names(std::string_view subject, const std::set<std::string, std::less<>>& stored) {
  UnwrappedNames result;
  std::vector<Wrapper> taken;
  for (const std::string& name : stored) {
    if (is_lora(name)) {
      fail(std::string(subject),
           "is a model with an adapter that is not merged: it holds \"{}\"; in Python merge_and_unload() and then "
           "save_pretrained() merge it, or save the adapter alone",
           printable(name));
    }
    std::string& own = result.names.emplace(name, name).first->second;
    for (const Wrapper& wrapper : kInner) {
      if (drop_part(own, wrapper.text)) taken.push_back(wrapper);
    }
    if (drop_part(own, kBaseLayer.text)) taken.push_back(kBaseLayer);
  }
  take_off_outer(result.names, taken);
  std::map<std::string_view, std::string_view> owners;
  for (const auto& [name, own] : result.names) {
    const auto [other, is_new] = owners.emplace(own, name);
    if (!is_new) {
      fail(std::string(subject), "has \"{}\" and \"{}\", which are both \"{}\" without their wrappers",
           printable(other->second), printable(name), printable(own));
    }
  }
  result.warning = warning_of(taken, result.names);
  return result;
}

}  // namespace gyro
