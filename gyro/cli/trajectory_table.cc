#include "gyro/cli/trajectory_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "gyro/cli/names.h"

namespace gyro {
namespace {

constexpr size_t kNameLimit = 24;

const TrajectoryLine* line_of(const Trajectory& trajectory, MatrixType type, std::string_view figure) {
  for (const TrajectoryLine& line : trajectory.lines) {
    if (line.type == type && line.figure == figure) return &line;
  }
  return nullptr;
}

std::string number(double value) {
  return std::isnan(value) ? "-" : fmt::format("{:.4f}", value);
}

// The side of which the overlap with the last checkpoint is known: both of a square matrix, and then the input's.
const TrajectoryLine* known_overlap(const Trajectory& trajectory, MatrixType type) {
  for (const char* figure : {"to_last_u", "to_last_v"}) {
    const TrajectoryLine* line = line_of(trajectory, type, figure);
    if (line != nullptr && !std::isnan(line->values.back())) return line;
  }
  return nullptr;
}

}  // namespace

Table trajectory_table(const DiffResult& result) {
  Table table{
      "With the checkpoints: relative change, and overlap of the leading tenth of directions with the last", {}, {}};
  if (!result.trajectory) return table;
  const Trajectory& trajectory = *result.trajectory;
  std::vector<const TrajectoryLine*> changes, overlaps;
  for (const TrajectoryLine& line : trajectory.lines) {
    if (line.figure != "relative_change") continue;
    table.columns.emplace_back(type_name(line.type));
    changes.push_back(&line);
    overlaps.push_back(known_overlap(trajectory, line.type));
  }
  const std::vector<std::string> steps = cut_names(trajectory.steps, kNameLimit);
  const auto add = [&](const std::string& label, bool detail, auto cell,
                       const std::vector<const TrajectoryLine*>& lines) {
    Table::Row row{label, {}, detail};
    for (const TrajectoryLine* line : lines) row.cells.push_back(line == nullptr ? "-" : cell(*line));
    table.rows.push_back(std::move(row));
  };
  const auto half_way = [&](const TrajectoryLine& line) -> std::string {
    return line.half_way ? steps[static_cast<size_t>(*line.half_way)] : "-";
  };
  add(
      "base", false, [](const TrajectoryLine& line) { return number(line.at_base); }, changes);
  add(
      "with last", true, [](const TrajectoryLine& line) { return number(line.at_base); }, overlaps);
  for (size_t i = 0; i < steps.size(); ++i) {
    const auto at_step = [&](const TrajectoryLine& line) { return number(line.values[i]); };
    add(steps[i], false, at_step, changes);
    add("with last", true, at_step, overlaps);
  }
  add("half changed by", false, half_way, changes);
  add("half turned by", false, half_way, overlaps);
  return table;
}

}  // namespace gyro
