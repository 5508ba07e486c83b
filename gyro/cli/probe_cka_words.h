#pragma once

#include <string>
#include <vector>

#include "gyro/cli/probe.h"
#include "gyro/cli/table.h"
#include "gyro/probe/cka_maps.h"

namespace gyro {

/// A heat map that differs from the original's by less than this, on average, counts as kept.
inline constexpr double kKeptDistance = 0.05;

/// A model whose blocks were held against the original's, and by reading the mean of the diagonal and the distance from
/// the original's own map.
struct CkaSubject {
  Subject subject;
  CkaMaps maps;
  std::array<double, kCkaReadings.size()> diagonal, distance;
};

/// A row a subject: those that are nearest to the original first, each with its controls below.
Table cka_table(const std::vector<CkaSubject>& subjects);

/// Which constructions keep the original's representation, each beside its controls, and what the biased readings are
/// of chance: `questions` and `positions` are their rows, `width` their columns.
std::vector<std::string> cka_sentences(const std::vector<CkaSubject>& subjects, int64_t questions, int64_t positions,
                                       int64_t width);

}  // namespace gyro
