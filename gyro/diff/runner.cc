#include "gyro/diff/runner.h"

#include <fmt/chrono.h>

#include <chrono>
#include <ctime>
#include <map>
#include <mutex>
#include <set>

#include "gyro/base/error.h"
#include "gyro/base/version.h"
#include "gyro/checkpoint/writer.h"
#include "gyro/diff/between.h"
#include "gyro/diff/execute.h"
#include "gyro/diff/journal.h"
#include "gyro/diff/outside_words.h"
#include "gyro/diff/result_files.h"

namespace gyro {
namespace {

using Units = std::map<int64_t, UnitResult>;

// The folders that are read.
std::vector<std::filesystem::path> inputs_of(const DiffRequest& request) {
  std::vector<std::filesystem::path> inputs = {request.base};
  inputs.insert(inputs.end(), request.posts.begin(), request.posts.end());
  for (const std::string& control : request.controls) {
    if (control != kNoise) inputs.emplace_back(control);
  }
  return inputs;
}

// What an earlier run kept. A journal is taken by its fingerprint, which does not say that it was written by this
// program.
Units kept_units(const DiffPlan& plan, OutputFolder& folder) {
  Units units = folder.take_kept();
  std::erase_if(units, [&](const auto& unit) {
    return unit.first >= static_cast<int64_t>(plan.units.size()) || unit.second.rows.size() != plan.others.size() ||
           unit.second.overlaps.size() != count_pairs(plan);
  });
  return units;
}

// Computes what `units` lack, keeping each in `folder` if there is one. Returns whether all are done.
bool complete_units(const DiffPlan& plan, const RunOptions& run, OutputFolder* folder, Units& units) {
  std::vector<int64_t> left = plan.order;
  std::erase_if(left, [&](int64_t unit) { return units.contains(unit); });
  std::mutex mutex;
  try {
    return execute(plan, left, run, [&](int64_t unit, UnitResult result) {
      if (folder != nullptr) folder->keep(unit, result);
      const std::lock_guard lock(mutex);
      units.insert_or_assign(unit, std::move(result));
    });
  } catch (const Error& error) {
    // Memory or a device may be there again when the same command is given once more.
    if (folder != nullptr && error.kind() == ErrorKind::Input) folder->discard();
    throw;
  }
}

RunInfo run_info(const std::string& command, std::chrono::system_clock::time_point began) {
  const std::chrono::duration<double> took = std::chrono::system_clock::now() - began;
  const std::time_t date = std::chrono::system_clock::to_time_t(began);
  return {command, fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(date)), took.count(), std::string(git_id())};
}

// The base's oddities are found with each post's, and said once.
void warn_of(const DiffPlan& plan, const DiffRequest& request, const std::vector<std::optional<Outside>>& outside) {
  if (!request.warn) return;
  std::set<std::string> said;
  for (size_t i = 0; i < outside.size(); ++i) {
    for (const bool in_base : {true, false}) {
      const std::string words = outside[i] ? odd_words(*outside[i], in_base) : "";
      const std::string line = fmt::format("{}: {}", in_base ? request.base : plan.others[i].path, words);
      if (!words.empty() && said.insert(line).second) request.warn(line);
    }
  }
}

}  // namespace

DiffOutcome run_diff(const DiffRequest& request) {
  const auto began = std::chrono::system_clock::now();
  if (!request.out.empty()) check_not_an_input(request.out, inputs_of(request));
  const DiffPlan plan = plan_diff(request);
  DiffOutcome outcome{std::nullopt, 0, static_cast<int64_t>(plan.units.size()), 0};
  std::optional<OutputFolder> folder;
  Units units;
  if (!request.out.empty()) {
    folder.emplace(request.out, plan.head.fingerprint, request.force);
    if (auto finished = folder->take_finished()) {
      if (request.arrays) finished->arrays = read_arrays(request.out);
      return {std::move(finished), outcome.total, outcome.total, outcome.total};
    }
    units = kept_units(plan, *folder);
    outcome.kept = static_cast<int64_t>(units.size());
  }
  const bool complete = complete_units(plan, request.run, folder ? &*folder : nullptr, units);
  outcome.done = static_cast<int64_t>(units.size());
  if (!complete) return outcome;
  auto outside = outside_of(plan, request.run);
  if (!outside) return outcome;
  warn_of(plan, request, *outside);
  outcome.result = assemble(plan, std::move(units));
  for (size_t i = 0; i < outside->size(); ++i) outcome.result->comparisons[i].outside = std::move((*outside)[i]);
  if (!request.command.empty()) outcome.result->run = run_info(request.command, began);
  if (folder) folder->finish(*outcome.result);
  if (!request.arrays) outcome.result->arrays.clear();
  return outcome;
}

}  // namespace gyro
