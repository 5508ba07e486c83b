#pragma once

#include "gyro/spectra/factors.h"

namespace gyro {

/// The point t of the path from base (0) to post (1) described at `construct`, in the stored layout, where the
/// factors lie. The power of the orthogonal factor is taken on the host (a Schur form: cuSOLVER has none).
Matrix interpolate(double t, const Factors& base, const Factors& post);

}  // namespace gyro
