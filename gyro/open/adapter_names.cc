#include "gyro/open/adapter_names.h"

#include <algorithm>

#include "gyro/base/error.h"
#include "gyro/checkpoint/unwrap.h"

namespace gyro {
namespace {

struct Ending {
  std::string_view text;
  AdapterPart part;
  bool embedding;
};
constexpr Ending kEndings[] = {{".lora_A.weight", AdapterPart::A, false},
                               {".lora_B.weight", AdapterPart::B, false},
                               {".lora_B.bias", AdapterPart::Bias, false},
                               {".lora_embedding_A", AdapterPart::A, true},
                               {".lora_embedding_B", AdapterPart::B, true},
                               {".lora_magnitude_vector", AdapterPart::Magnitude, false},
                               {".lora_magnitude_vector.weight", AdapterPart::Magnitude, false}};
// Other things that PEFT and its kin put beside a module.
constexpr std::string_view kOthers[] = {
    ".lora_", ".token_adapter.", ".trainable_tokens", ".modules_to_save.", ".ia3_l", ".hada_", ".lokr_", ".oft_",
    ".vera_", ".lora.",          ".adaptation_",      ".prompt_"};

}  // namespace

AdapterName parse_adapter_name(std::string_view subject, const std::string& tensor) {
  const std::string name = without_outer_wrappers(without_inner_wrappers(tensor, true));
  for (const Ending& ending : kEndings) {
    if (!name.ends_with(ending.text)) continue;
    return {ending.part, name.substr(0, name.size() - ending.text.size()), ending.embedding};
  }
  for (const std::string_view other : kOthers) {
    if (name.find(other) == name.npos) continue;
    fail(std::string(subject), "holds tensor \"{}\", which is no part of a LoRA that Gyro reads", printable(tensor));
  }
  return {AdapterPart::Whole, name, false};
}

std::vector<std::string_view> targets_of(std::string_view module, const TargetNames& targets) {
  std::vector<std::string_view> found;
  for (std::string_view end = module;; end.remove_prefix(end.find('.') + 1)) {
    if (targets.contains(end)) found.push_back(end);
    if (end.find('.') == end.npos) return found;
  }
}

std::string tail_of(const std::string& name) {
  for (const std::string_view list : {"layers.", "h.", "blocks."}) {
    size_t at = name.find(list);
    while (at != name.npos && at != 0 && name[at - 1] != '.') at = name.find(list, at + 1);
    if (at != name.npos) return name.substr(at);
  }
  const size_t last = name.rfind('.');
  const size_t before = last == name.npos || last == 0 ? name.npos : name.rfind('.', last - 1);
  return before == name.npos ? name : name.substr(before + 1);
}

bool is_of_tower(const std::string& name) {
  return std::ranges::any_of(std::initializer_list<std::string_view>{"vision", "visual", "audio"},
                             [&](std::string_view part) { return name.find(part) != name.npos; });
}

bool is_tokenizer_file(std::string_view name) {
  constexpr std::string_view kBeginnings[] = {
      "tokenizer", "chat_template", "special_tokens_map", "added_tokens", "vocab", "merges", "spiece", "tekken"};
  return std::ranges::any_of(kBeginnings, [&](std::string_view beginning) { return name.starts_with(beginning); });
}

}  // namespace gyro
