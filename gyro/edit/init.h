#pragma once

#include <filesystem>
#include <functional>
#include <map>
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
  std::filesystem::path base, out;
  Band band = Band::Top;
  int64_t rank = 16;
  std::optional<double> alpha;           ///< lora_alpha; nothing: the rank, so that the scaling is 1
  std::set<std::string> target_modules;  ///< "q_proj", ...; empty: every attention and MLP projection
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

/// What `gyro init rescale` is asked for.
struct RescaleRequest {
  std::filesystem::path base, out;
  std::map<MatrixType, double> by;  ///< factors; other types stay as they are
  std::optional<DType> dtype;       ///< of the written model; nothing: base's
  uint64_t shard_size = uint64_t{5} * 1000 * 1000 * 1000;
  bool force = false;
  RunOptions run;  ///< on the processors only
  std::string command;
};

/// Writes the base with the weights of some types multiplied by a factor. Throws Error if the model has none of a type.
/// False if `stop` ended it; then, and on Error, no folder is left.
bool run_rescale(const RescaleRequest& request);

/// What `gyro lora` is asked for: the best adapter of a rank that turns base into post.
struct LoraRequest {
  std::filesystem::path base, post, out;
  int64_t rank = 16;
  std::optional<double> alpha;
  std::set<std::string> target_modules;
  bool force = false;
  RunOptions run;
  std::string command;
};
struct LoraRow {
  std::string module;
  double change = 0;                           ///< ‖post − base‖_F
  double error = 0;                            ///< ‖post − base − scaling · B A‖_F
  int64_t rank50 = 0, rank90 = 0, rank99 = 0;  ///< ranks that hold these shares of ‖post − base‖_F²
};
struct LoraOutcome {
  std::vector<LoraRow> rows;
  std::vector<std::string> left_out;  ///< other tensors that differ between base and post: norms, biases, embeddings
};
std::optional<LoraOutcome> run_lora(const LoraRequest& request);

/// The modules an adapter can attach to: whole tensors (a fused one is one module), by module name.
std::vector<MatrixSite> module_sites(const ModelMap& map, const std::set<std::string>& target_modules);
/// "model.layers.0.self_attn.q_proj" and its last part.
std::string module_of(const MatrixSite& site);
std::string short_module(const std::string& module);
/// The last parts that occur among the sites, in order.
std::vector<std::string> short_modules(const std::vector<MatrixSite>& sites);
/// Throws Error if `rank` is more than a site has components.
void check_rank(const std::vector<MatrixSite>& sites, int64_t rank);

}  // namespace gyro
