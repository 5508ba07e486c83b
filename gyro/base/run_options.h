#pragma once

#include <cstddef>
#include <functional>

#include "gyro/base/progress.h"

namespace gyro {

/// How a run may use the machine, and how it is watched: the same for every kind of run.
struct RunOptions {
  int threads = 0;             ///< matrices at once; 0: all processors, or what keeps the GPUs busy
  size_t memory = 0;           ///< bytes of host memory that work on the processors may take; 0: 80 % of what is left
  bool cuda = false;           ///< on every GPU that CUDA shows, instead of the processors
  ProgressSink progress;       ///< is told how far the run has come; may be empty
  std::function<bool()> stop;  ///< asked between matrices, on any thread; true ends the run early
};

}  // namespace gyro
