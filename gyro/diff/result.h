#pragma once

#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gyro/arch/arch.h"
#include "gyro/spectra/pair.h"

namespace gyro {

/// result.json and what is put into it, key order kept. This document is the only form in which results leave the room:
/// tables, reports and resumed runs read it. Numbers that are not valid are null.
using Json = nlohmann::ordered_json;

/// A document that may come from anyone: of JSON text, or of CBOR bytes. Throws Error naming `subject` for what is
/// neither, is nested deeper than 32 levels, or has an object of more than 1,000 keys (looking one up takes a walk over
/// all).
Json parse_document(const std::string& subject, std::string_view text);
Json parse_cbor_document(const std::string& subject, std::span<const std::byte> bytes);

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
Json describe_model(const TensorSource& checkpoint);

}  // namespace gyro
