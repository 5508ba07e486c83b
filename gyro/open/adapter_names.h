#pragma once

#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace gyro {

/// What a tensor of PEFT's adapter_model.safetensors is to its module: a factor of LoRA, the bias of B, DoRA's
/// magnitudes, or not LoRA's at all but a whole tensor of the model.
enum class AdapterPart { A, B, Bias, Magnitude, Whole };

struct AdapterName {
  AdapterPart part = AdapterPart::Whole;
  std::string module;      ///< as the model calls it ("model.layers.0.mlp.up_proj"); of a whole tensor its own name
  bool embedding = false;  ///< lora_embedding_A and _B
};

/// Takes the name of such a tensor apart: `base_model.model` and what other wrappers add left out. Throws Error
/// naming `subject` and the tensor for a part of an adapter that is none of these.
AdapterName parse_adapter_name(std::string_view subject, const std::string& tensor);

using TargetNames = std::set<std::string, std::less<>>;
/// The names in target_modules that a module has: all of its name, or the last parts of it.
std::vector<std::string_view> targets_of(std::string_view module, const TargetNames& targets);

/// What a tensor's name has from its list of layers on ("layers.0.mlp.up_proj.weight"), or its last two parts: the same
/// whatever the model stands in.
std::string tail_of(const std::string& name);

/// Whether it is of a multimodal model's part that sees or hears.
bool is_of_tower(const std::string& name);

/// Whether a file of a model's folder belongs to its tokenizer or its chat template.
bool is_tokenizer_file(std::string_view name);

}  // namespace gyro
