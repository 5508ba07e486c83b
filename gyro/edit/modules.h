#pragma once

#include <set>
#include <string>
#include <variant>
#include <vector>

#include "gyro/arch/arch.h"

namespace gyro {

/// The modules an adapter can attach to: whole tensors (a fused one is one module), in the order of the map. Throws
/// Error, the field "target_modules", for a name ("q_proj", "W_Q") that the model has not or only as a part of a fused
/// tensor, and for experts that lie in one tensor.
std::vector<MatrixSite> module_sites(const ModelMap& map, const std::set<std::string>& target_modules);
/// "model.layers.0.self_attn.q_proj" and its last part.
std::string module_of(const MatrixSite& site);
std::string short_module(std::string_view module);

/// Whether the modules are stored as Conv1D does: PEFT's fan_in_fan_out.
bool stored_transposed(const std::vector<MatrixSite>& sites);

/// The rank of a module's adapter: `rank`, or where the module has fewer components their number.
int64_t module_rank(const MatrixSite& site, int64_t rank);
/// Throws Error, the field "rank", if no site has that many components.
void check_rank(const std::vector<MatrixSite>& sites, int64_t rank);

/// `target_modules` of a PEFT config: the last parts of names, or, a string, a regular expression of whole names.
using TargetModules = std::variant<std::vector<std::string>, std::string>;

/// What has PEFT attach to `modules` of the model and to no others: the last parts of their names where nothing else in
/// it ends so, with the part before where that tells them apart (GPT-2's attn.c_proj and mlp.c_proj). Else, where what
/// does lies under other modules (`vision_tower.`), the last parts without those, whatever a library's release calls
/// the way there; else the full names.
TargetModules target_modules(const TensorSource& model, const std::vector<std::string>& modules);

}  // namespace gyro
