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
  int64_t rank = 0;     ///< how many: at most what the module has
  double share = 0;     ///< ‖scaling · B A‖_F² / ‖W‖_F²
  double rounding = 0;  ///< ‖stored residual − residual‖_F / ‖W‖_F
};

struct InitOutcome {
  std::vector<InitRow> rows;
  std::vector<std::string> left;  ///< why other modules stay whole, a line each: their bands are not determined
};

/// Writes the residual model (base − scaling · B A) to `out` and the adapter to its folder in it, as PEFT does with a
/// converted PiSSA: `PeftModel.from_pretrained(model(out), out, subfolder="pissa_init")` is the base again. Nothing if
/// `stop` ended it.
std::optional<InitOutcome> run_init(const InitRequest& request);

}  // namespace gyro
