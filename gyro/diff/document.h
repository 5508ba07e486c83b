#pragma once

#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>

namespace gyro {

/// JSON with its key order kept.
using Json = nlohmann::ordered_json;

/// A document that may come from anyone: of JSON text, or of CBOR bytes. Throws Error naming `subject` for what is
/// neither, is nested deeper than 32 levels, or has an object of more than 1,000 keys (looking one up takes a walk over
/// all).
Json parse_document(const std::string& subject, std::string_view text);
Json parse_cbor_document(const std::string& subject, std::span<const std::byte> bytes);

}  // namespace gyro
