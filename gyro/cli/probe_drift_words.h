#pragma once

#include <optional>
#include <string>
#include <vector>

#include "gyro/cli/table.h"
#include "gyro/eval/statistics.h"
#include "gyro/probe/block_weights.h"
#include "gyro/probe/drift.h"

namespace gyro {

inline constexpr size_t kLeastRanked = 4;  ///< blocks of which ranks are compared

/// How base and post part, beside a control of the same size of change, and what happened to the blocks' weights.
struct DriftReport {
  Drift post, noise;
  std::vector<BlockWeights> weights;
};

/// Of each block, by how much its relative difference is above that of the block before it; of the first, above the
/// embeddings'.
std::vector<double> increases(const Drift& drift);

/// Relative change of the blocks' weights against these; NaN below kLeastRanked blocks.
RankCorrelation weights_against_drift(const DriftReport& report);

/// A row a block, "noise" being the control's.
Table drift_table(const DriftReport& report);

/// Where base and post part, and whether weights say where.
std::vector<std::string> drift_sentences(const DriftReport& report);

/// "more", "less", "as_noise", "undefined": what a document calls it.
const char* verdict_name(DriftVerdict verdict);

}  // namespace gyro
