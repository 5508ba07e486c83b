#pragma once

#include "gyro/diff/document.h"

namespace gyro {

// What the page gets of result.json's rows: lists of objects as objects of lists, by names of docs/result.schema.json
// (a test holds them against it), a dot between a group and its member. What a result of an older version lacks is null
// there; the page's scripts may ask for nothing else.

/// What all comparisons have in common of their "matrices": layer, type, shape.
Json site_columns(const Json& matrices);
/// The rest of a comparison's "matrices".
Json row_columns(const Json& matrices);

/// A comparison's "types" and "findings", objects each.
Json type_rows(const Json& types);
Json finding_rows(const Json& findings);
/// What a comparison has of what lies outside its matrices; null where it has nothing.
Json outside_of(const Json& comparison);

}  // namespace gyro
