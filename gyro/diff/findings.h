#pragma once

#include "gyro/diff/result.h"

namespace gyro {

/// Fills the verdicts and margins of a comparison's types, and its findings, in words with their evidence, from its
/// matrices and types (pool_types) and what it is: its role, whose noise, the names. Fused types have verdicts of their
/// own and stay out of the findings. Where nothing is asked (of a control, an unrelated model, the same weights) the
/// verdict is NotAsked, and the text says why.
void judge(const ModelInfo& base, Comparison& comparison);

}  // namespace gyro
