#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>

namespace gyro {

/// Names of tensors as stored, and as the model has them.
struct UnwrappedNames {
  std::map<std::string, std::string, std::less<>> names;  ///< by the stored name
  std::string warning;                                    ///< what was taken off, in words; empty for nothing
};

/// Takes off what wrappers put around a model's names when it was saved from inside them: `_orig_mod` (torch.compile)
/// and FSDP's parts wherever they stand; `module`, `base_model.model` and `pretrained_model` in front, in any order
/// and any number, as long as all tensors of layers have them (a model may have a module of that name); `base_layer`.
/// Names of no layer (a value head's) are left as they are where they lack the prefix. Throws Error naming `subject`
/// for LoRA factors among the tensors, and where two names become one.
UnwrappedNames unwrap_names(std::string_view subject, const std::set<std::string, std::less<>>& stored);

/// A name without what DataParallel, PEFT and TRL put in front of it, any number of times.
std::string without_outer_wrappers(std::string_view name);
/// A name without what torch.compile and FSDP put between its parts and, if asked, without `base_layer` of PEFT.
std::string without_inner_wrappers(std::string_view name, bool base_layer);

}  // namespace gyro
