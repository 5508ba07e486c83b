#pragma once

#include "gyro/edit/factors.h"

namespace gyro {

/// The point t of the path from base (0) to post (1) described at `construct`, in the stored layout.
Matrix interpolate(double t, const Factors& base, const Factors& post);

}  // namespace gyro
