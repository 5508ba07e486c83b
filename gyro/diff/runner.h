#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "gyro/base/run_options.h"
#include "gyro/diff/result.h"

namespace gyro {

/// What `gyro diff` is asked for.
struct DiffRequest {
  std::string base;
  std::vector<std::string> posts;
  std::vector<std::string> controls;  ///< paths, or "noise": the first post's change replaced by gaussian noise
  /// Of these, models that are open already, by the path that stands for them; the others are opened.
  std::map<std::string, std::shared_ptr<const TensorSource>> opened;
  std::vector<int64_t> layers;    ///< empty: all; negative counts from the end
  std::vector<MatrixType> types;  ///< empty: all
  int64_t null_draws = 1;
  int64_t null_nf_draws = 0;
  uint64_t seed = 0;
  std::filesystem::path out;  ///< empty: keep nothing
  bool force = false;
  RunOptions run;
  std::function<void(const std::string&)> warn;
};

/// The document of a run, or how far it came when `stop` ended it.
struct DiffOutcome {
  Json document;     ///< null if stopped
  int64_t done = 0;  ///< matrices finished, earlier runs' included
  int64_t total = 0;
  bool resumed = false;  ///< some or all of it was there already
};

/// Runs a comparison (design §1, §4): one base, its posts and controls, each matrix of the base decomposed once,
/// largest matrices first over the threads. Throws Error for bad input, and for an `out` that is the folder of an
/// input, before anything is written.
DiffOutcome run_diff(const DiffRequest& request);

}  // namespace gyro
