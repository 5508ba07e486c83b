#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "gyro/arch/arch.h"
#include "gyro/base/run_options.h"

namespace gyro {

/// What `gyro init rescale` is asked for.
struct RescaleRequest {
  std::shared_ptr<const TensorSource> base;
  std::filesystem::path out;
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

}  // namespace gyro
