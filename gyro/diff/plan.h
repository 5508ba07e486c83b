#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "gyro/base/run_options.h"
#include "gyro/checkpoint/source.h"
#include "gyro/diff/outside.h"
#include "gyro/diff/result.h"

namespace gyro {

/// Among the controls: one for each post, its change replaced by gaussian noise of the same size; no model is read.
inline constexpr std::string_view kNoise = "noise";

/// What `gyro diff` is asked for.
struct DiffRequest {
  std::string base;
  std::vector<std::string> posts;
  std::vector<std::string> controls;  ///< paths, or kNoise
  /// Of these, models that are open already, by the path that stands for them; the others are opened.
  std::map<std::string, std::shared_ptr<const TensorSource>> opened;
  std::vector<int64_t> layers;    ///< empty: all; negative counts from the end
  std::vector<MatrixType> types;  ///< empty: all
  std::vector<int64_t> experts;   ///< as layers; matrices that are of no expert are compared all the same
  bool trajectory = false;        ///< the posts are checkpoints of one run, in order
  std::vector<Measure> measures;  ///< beyond what is always measured, each once
  int64_t null_draws = 1;
  int64_t null_nf_draws = 0;
  uint64_t seed = 0;
  std::filesystem::path out;  ///< empty: keep nothing
  bool force = false;
  bool arrays = false;  ///< the result that is returned has its arrays; what is written to `out` has them anyway
  RunOptions run;
  std::map<std::string, std::string> names;  ///< what the result calls a model, by its path, in place of its own name
  std::string command;                       ///< as typed; the result tells how it came about if there is one
  std::function<void(const std::string&)> warn;
};

/// One model beside the base. A noise control has no checkpoint.
struct PlannedModel {
  Role role = Role::Post;
  size_t noise_of = 0;  ///< of a noise control: the post whose change it has the size of
  std::shared_ptr<const TensorSource> checkpoint;
  ModelMap map;
  std::string path;  ///< as in the request
  OutsidePairs outside;
};

/// A run before its work: the models, opened; the units of work, one a matrix of the base; and all of the result that
/// is known by then.
struct DiffPlan {
  std::shared_ptr<const TensorSource> base;
  ModelMap map;
  std::vector<PlannedModel> others;  ///< posts, then controls
  std::vector<MatrixSite> units;     ///< by number, as the result's rows are ordered
  std::vector<int64_t> order;        ///< all units in the order in which they are best worked on
  bool arrays = false;               ///< units give arrays
  bool trajectory = false;           ///< rows of posts have their drift
  int64_t first_expert = 0;          ///< of a layer's experts the one that speaks where one is shown
  DiffResult head;                   ///< the result but for rows, what follows from them, and arrays

  const MatrixSite& unit(int64_t i) const { return units[static_cast<size_t>(i)]; }
};

/// Of `count` layers or experts those that are asked for, negative ones counted from the end. Throws Error naming the
/// field of the request for one that there is not, which it calls `one`.
std::set<int64_t> chosen_numbers(const std::vector<int64_t>& numbers, int64_t count, const char* field,
                                 const char* one);

/// Opens and checks the models, reads a sample of every tensor, and starts the devices. The fingerprint is of what the
/// numbers depend on: the models' content and the options, not paths or devices. Throws Error for bad input.
DiffPlan plan_diff(const DiffRequest& request);

/// How much work a unit is, in no unit of its own.
double work_of(const MatrixSite& site);

/// Has a unit's matrices read from the disk, without waiting for it.
void prefetch_unit(const DiffPlan& plan, int64_t unit);

/// One matrix of the base, decomposed once and compared with all others, where the thread works (device::Scope).
/// Thread-safe. Throws Error naming the tensor for NaN and Inf.
UnitResult compute_unit(const DiffPlan& plan, int64_t unit);

/// What lies outside the matrices of each of `others` (nothing for noise), on the processor's threads; nothing at all
/// if the run's `stop` ended it. Throws Error naming the tensor.
std::optional<std::vector<std::optional<Outside>>> outside_of(const DiffPlan& plan, const RunOptions& run);

/// The result of all units: rows in the units' order, types and findings from them, and the units' arrays.
DiffResult assemble(const DiffPlan& plan, std::map<int64_t, UnitResult>&& units);

}  // namespace gyro
