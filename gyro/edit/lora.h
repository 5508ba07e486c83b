#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "gyro/arch/arch.h"
#include "gyro/base/run_options.h"

namespace gyro {

/// What `gyro lora` is asked for: the best adapter of a rank that turns base into post.
struct LoraRequest {
  std::shared_ptr<const TensorSource> base, post;
  std::filesystem::path out;
  int64_t rank = 16;
  std::optional<double> alpha;
  std::set<std::string> target_modules;
  bool force = false;
  RunOptions run;
  std::string command;
};

/// What the adapter holds of one module's change.
struct LoraRow {
  std::string module;
  int64_t rank = 0;                            ///< the adapter's: at most the module's components
  double change = 0;                           ///< ‖post − base‖_F
  double error = 0;                            ///< ‖post − base − scaling · B A‖_F
  int64_t rank50 = 0, rank90 = 0, rank99 = 0;  ///< ranks that hold these shares of ‖post − base‖_F²
};

struct LoraOutcome {
  std::vector<LoraRow> rows;
  std::vector<std::string> left_out;  ///< other tensors that differ between base and post: norms, biases, embeddings
};

/// Writes the adapter to `out` as PEFT saves one. Throws Error for models that do not have the same matrices, and a
/// rank that no module has. Nothing if `stop` ended it; then, and on Error, no folder is left.
std::optional<LoraOutcome> run_lora(const LoraRequest& request);

}  // namespace gyro
