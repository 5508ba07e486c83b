#pragma once

#include "gyro/linalg/linalg.h"

namespace gyro::linalg {

/// Q^t for an orthogonal Q on the host: its planes of rotation turn by t times their angle in (−π, π]. Where Q mirrors
/// one direction there is no rotation to it; that direction is multiplied by cos πt, so that it shrinks through zero on
/// the way.
Matrix orthogonal_power(Matrix&& q, double t);

}  // namespace gyro::linalg
