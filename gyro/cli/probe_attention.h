#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "gyro/cli/probe.h"
#include "gyro/cli/table.h"
#include "gyro/probe/attention.h"
#include "gyro/probe/expected_temperature.h"
#include "gyro/probe/temperature.h"

namespace gyro {

/// What a subject's attention gives: by question, and there by block.
struct AttentionSubject {
  Subject subject;
  int64_t layers = 0, heads = 0;
  std::vector<int64_t> tokens;                       ///< of each question, as this subject is asked it
  std::vector<std::vector<int64_t>> keys;            ///< how many are seen
  std::vector<std::vector<BlockEntropy>> entropies;  ///< of the first blocks only where it has no more layers
  std::vector<BlockFit> fits;            ///< what it needs to be like the original, by block; empty: not compared
  std::string why_not;                   ///< compared
  std::vector<std::vector<float>> maps;  ///< in the order of AttentionProbe::maps; empty: none
};

/// All that `gyro probe attention` finds.
struct AttentionProbe {
  std::vector<int64_t> blocks;
  std::vector<AttentionSubject> subjects;     ///< the original first
  std::vector<ExpectedTemperature> expected;  ///< by block; empty without a base
  std::vector<MapChoice> maps;                ///< of the first question
  std::string no_maps;                        ///< why there are none that nobody has asked for; empty for no reason
  std::vector<std::string> map_tokens;        ///< texts of the first question's tokens; empty if it is hidden

  const AttentionSubject& original() const { return subjects.front(); }
};

/// "mean" or the head's number.
std::string head_text(const MapChoice& choice);
/// The name of a subject's map in attention.safetensors.
std::string map_name(const AttentionSubject& subject, const MapChoice& choice);

/// A subject's mean entropy of a block (its place in AttentionProbe::blocks) over questions, less the original's.
double entropy_difference(const AttentionProbe& probe, const AttentionSubject& subject, size_t block);

/// attention.json, beginning with `head`.
nlohmann::ordered_json attention_json(const nlohmann::ordered_json& head, const AttentionProbe& probe);

/// A row a block: entropies of all subjects, and the temperature that makes a variant's attention like the original's.
Table attention_table(const AttentionProbe& probe);
/// What follows, a sentence each.
std::vector<std::string> attention_words(const AttentionProbe& probe);

}  // namespace gyro
