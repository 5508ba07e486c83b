#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "gyro/arch/arch.h"
#include "gyro/base/run_options.h"
#include "gyro/edit/peft.h"

namespace gyro {

/// Which singular components an adapter starts from: the largest (PiSSA), a band in the middle (App. F: the directions
/// that turn most), or the smallest.
enum class Band { Top, Middle, Bottom };

/// What `gyro init` is asked for.
struct InitRequest {
  std::shared_ptr<const TensorSource> base;
  std::filesystem::path out;
  Band band = Band::Top;
  int64_t rank = 16;
  std::optional<double> alpha;           ///< lora_alpha; nothing: the rank, so that the scaling is 1
  std::set<std::string> target_modules;  ///< "q_proj" or "W_Q", ...; empty: every attention and MLP projection
  std::optional<int64_t> first;          ///< Middle: first component; nothing: centred
  std::filesystem::path diff;            ///< Middle: folder of a `gyro diff` of this base; the band that turned most
  std::string adapter_folder;            ///< "pissa_init/": where the adapter lies in `out`
  std::optional<DType> dtype;            ///< of the residual model; nothing: base's
  uint64_t shard_size = uint64_t{5} * 1000 * 1000 * 1000;
  bool force = false;
  RunOptions run;
  std::string command;
};

/// One module's part of the result: how much of the weight the adapter took, and what storing the residual rounds away.
struct InitRow {
  std::string module;
  int64_t first = 0;    ///< first component of the band
  double share = 0;     ///< ‖scaling · B A‖_F² / ‖W‖_F²
  double rounding = 0;  ///< ‖stored residual − residual‖_F / ‖W‖_F
};

/// Writes the residual model (base − scaling · B A) to `out` and the adapter to its folder in it, as PEFT does with a
/// converted PiSSA: `PeftModel.from_pretrained(model(out), out, subfolder="pissa_init")` is the base again. Nothing if
/// `stop` ended it.
std::optional<std::vector<InitRow>> run_init(const InitRequest& request);

/// The modules an adapter can attach to: whole tensors (a fused one is one module), by module name.
std::vector<MatrixSite> module_sites(const ModelMap& map, const std::set<std::string>& target_modules);
/// "model.layers.0.self_attn.q_proj" and its last part.
std::string module_of(const MatrixSite& site);
std::string short_module(const std::string& module);
/// The last parts of the sites' modules, in order; with the part before where another module of the model ends so too
/// (GPT-2's attn.c_proj and mlp.c_proj), by which PEFT would take it as well.
std::vector<std::string> short_modules(const ModelMap& map, const std::vector<MatrixSite>& sites);
/// Whether the modules are stored as Conv1D does: PEFT's fan_in_fan_out.
bool stored_transposed(const std::vector<MatrixSite>& sites);
/// Throws Error if `rank` is more than a site has components.
void check_rank(const std::vector<MatrixSite>& sites, int64_t rank);

}  // namespace gyro
