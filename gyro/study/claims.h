#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gyro/diff/document.h"

namespace gyro {

/// What a study has of one post: documents that gyro diff, eval and probe wrote, or nothing.
struct StudyDocuments {
  Json comparison;              ///< of result.json: this post's; null if there is none, as all of these
  Json evaluation;              ///< eval.json, finished
  Json attention, cka;          ///< attention.json, cka.json
  std::vector<Json> rotations;  ///< of rotation.json's pairs those that the post is in
};

enum class ClaimVerdict {
  Supported,     ///< what the paper says is there, beyond its control
  AsItsControl,  ///< it is there, and in the control as well: no evidence of the paper's reading
  NotSupported,  ///< it is not there
  Unclear,       ///< the figures do not decide
  NotTested      ///< what would test it was not run
};
std::string_view claim_verdict_name(ClaimVerdict verdict);

/// A claim of the paper, and what one pair's figures say of it.
struct Claim {
  std::string id;
  std::string claim;     ///< in one sentence
  std::string where;     ///< in the paper
  std::string evidence;  ///< the paper's
  std::string figure;    ///< this pair's; empty if not tested
  std::string control;   ///< what the control does; empty if there is none
  ClaimVerdict verdict = ClaimVerdict::NotTested;
  std::string why;  ///< what the verdict follows from, or what is missing
};

/// Bounds of the verdicts (docs/reproduce.md has which decides what).
inline constexpr double kKept = 0.05;         ///< accuracy that may be lost by what "leaves performance": 5 points
inline constexpr double kRestored = 0.8;      ///< share of the original's accuracy that counts as restored
inline constexpr double kLost = 0.2;          ///< share of it below which a model counts as destroyed
inline constexpr double kSameEntropy = 0.02;  ///< relative change of attention entropy that counts as none
inline constexpr double kTemperature = 0.5;   ///< share of a change that a temperature, or a restoration, has to undo
inline constexpr double kApart = 0.05;  ///< distance of CKA heat maps from which on representations count as broken
inline constexpr double kBeyond = 0.1;  ///< by which a share has to exceed its control's

/// The paper's claims in its order, judged for one post; of what documents lack nothing is said. No claim is supported
/// without a control beside it.
std::vector<Claim> judge_claims(const StudyDocuments& documents);

/// claims.json (schema gyro.claims/1): `models` (role, path) and `posts`, each with its claims.
Json claims_json(const Json& models, const std::vector<std::pair<std::string, std::vector<Claim>>>& posts);

}  // namespace gyro
