#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "gyro/eval/evaluate.h"
#include "gyro/eval/statistics.h"

namespace gyro {

/// A variant's answers to a task.
struct EvalCell {
  std::string variant, task;
  int64_t questions = 0, repeats = 0;
  Accuracy strict, flexible;
  std::vector<double> by_repeat;  ///< strict accuracy of each repeat
  double decoding_noise = 0;      ///< their standard deviation (n - 1): what drawing tokens anew does; NaN of one
  double tokens = 0;              ///< mean length of an answer; NaN if that of any is unknown
  double tokens_noise = 0;        ///< standard deviation of the repeats' means; NaN of one
  double truncated = 0;           ///< share of answers that were cut at their limit
  double no_answer = 0;           ///< share of answers without one in the form that was asked for
  bool collapsed = false;         ///< that share is 99 % or more
  /// Against the first variant, over the same questions, and its p among all of these of the task by Holm.
  std::optional<PairedDifference> against;
  double p_adjusted = 1;
};

/// A share of truncated answers above which an accuracy says more about the limit than about the model.
inline constexpr double kMuchTruncated = 0.02;
inline constexpr double kCollapse = 0.99;

/// One cell a variant and task, in the request's order. `seed` is that of the tests' draws.
std::vector<EvalCell> summarize(const EvalRequest& request, const std::vector<Score>& scores, uint64_t seed);

/// The cells as eval.json has them; what is not defined is null.
nlohmann::ordered_json cells_json(const std::vector<EvalCell>& cells);

/// Of each question of a task the share of right answers by variant: "matrix" of eval.json.
nlohmann::ordered_json matrix_json(const EvalRequest& request, const std::vector<Score>& scores);

}  // namespace gyro
