#pragma once

#include <cmath>
#include <string>

#include "gyro/study/claims.h"

namespace gyro {

// What judges claims from documents that may be of whomever: a part that is not there is null, or NaN.

// What they give lies in the document.

inline const Json& part_of(const Json& object, const char* key) {
  static const Json none;
  const auto it = object.is_object() ? object.find(key) : object.end();
  return it != object.end() ? *it : none;
}
inline double number_of(const Json& object, const char* key) {
  const Json& part = part_of(object, key);
  return part.is_number() ? part.get<double>() : NAN;
}
inline std::string text_of(const Json& object, const char* key) {
  const Json& part = part_of(object, key);
  return part.is_string() ? part.get<std::string>() : "";
}
inline const Json& list_of(const Json& object, const char* key) {
  static const Json none = Json::array();
  const Json& part = part_of(object, key);
  return part.is_array() ? part : none;
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
