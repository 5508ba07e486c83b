#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gyro/diff/document.h"
#include "gyro/diff/result.h"

namespace gyro {

// The forms in which results leave the process. docs/result.schema.json lists what they hold.

/// result.json's content (`gyro.diff/2`), in its order of keys. The arrays are not in it.
Json to_json(const DiffResult& result);
/// One of its "matrices".
Json to_json(const MatrixRow& row);
/// One of its "types".
Json to_json(const TypeRow& row);
/// One of its "findings".
Json to_json(const Finding& finding);
/// What a verdict is called in it: "as_chance".
std::string_view verdict_name(Verdict verdict);
/// result.json's text, without the newline at its end.
std::string result_text(const DiffResult& result);

/// What to_json wrote, without arrays. Throws Error naming `subject` and the field for one that is missing or is not
/// what it should be; further fields are left out.
DiffResult read_result(const std::string& subject, const Json& document);

/// A unit and its number as bytes (CBOR), for a journal or another process.
std::vector<uint8_t> encode_unit(int64_t unit, const UnitResult& result);
/// What encode_unit wrote; the number is not negative, and each array has the bytes of its shape. Throws Error for what
/// else it is.
std::pair<int64_t, UnitResult> decode_unit(std::span<const std::byte> bytes);

}  // namespace gyro
