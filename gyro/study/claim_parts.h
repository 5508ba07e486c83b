#pragma once

#include <cmath>
#include <string>

#include "gyro/study/claims.h"

namespace gyro {

// What judges claims from documents that may be of whomever: a part that is not there is null, or NaN.

inline Json part_of(const Json& object, const char* key) {
  const auto it = object.is_object() ? object.find(key) : object.end();
  return it != object.end() ? *it : Json();
}
inline double number_of(const Json& object, const char* key) {
  const Json part = part_of(object, key);
  return part.is_number() ? part.get<double>() : NAN;
}
inline std::string text_of(const Json& object, const char* key) {
  const Json part = part_of(object, key);
  return part.is_string() ? part.get<std::string>() : "";
}
inline Json list_of(const Json& object, const char* key) {
  Json part = part_of(object, key);
  return part.is_array() ? part : Json::array();
}

/// From the answers of eval.json.
void judge_replacement(Claim& claim, const Json& evaluation);
void judge_ablation(Claim& claim, const Json& evaluation);
void judge_restoration(Claim& claim, const Json& evaluation, bool sibling);

/// From attention.json, cka.json and the pairs of rotation.json.
void judge_entropy(Claim& claim, const Json& attention);
void judge_temperature(Claim& claim, const Json& attention);
void judge_representations(Claim& claim, const Json& cka);
void judge_rotations(Claim& claim, const std::vector<Json>& pairs);

}  // namespace gyro
