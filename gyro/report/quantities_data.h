#pragma once

#include "gyro/diff/document.h"

namespace gyro {

/// What the page gets of the "quantities" of matrices: columns by their paths ("quantities.principal_share.q10.u.z"),
/// null in place of one that no row has a number of. An object of them, for the figures by layer.
Json quantity_columns(const Json& rows);

/// The same of a type: all its quantities, each null that it has not.
Json type_quantities(const Json& type);

/// About how many bytes quantity_columns takes for each of these rows; 0 where none has quantities.
double quantity_bytes(const Json& rows);

}  // namespace gyro
