#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "gyro/arch/arch.h"
#include "gyro/diff/pair.h"

namespace gyro {

/// result.json and what is put into it, key order kept. This document is the only form in which results leave the room:
/// tables, reports and resumed runs read it. Numbers that are not valid are null.
using Json = nlohmann::ordered_json;

/// A number, NaN for null or a missing key.
double number(const Json& object, std::string_view key);
/// A number for the document: null unless finite.
Json finite_or_null(double value);

/// One matrix's row ("matrices" of design §4).
Json matrix_row(const MatrixSite& site, const PairMeasure& measure);

/// The pooled rows of a comparison, one for each type that occurs, in the order of kAllMatrixTypes.
Json pool_types(const Json& rows);

/// The findings of a comparison from its matrices and types, in words with their evidence.
Json find_findings(const Json& rows, const Json& types);

/// How a model is named in the document.
Json describe_model(const Checkpoint& checkpoint);

}  // namespace gyro
