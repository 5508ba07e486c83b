#include "gyro/eval/summary.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

namespace gyro {
namespace {

using Json = nlohmann::ordered_json;

// The scores of one cell by question and by repeat.
struct Gathered {
  std::vector<int64_t> right;            // how many repeats were, by question
  std::vector<double> strict, flexible;  // shares of repeats, by question
  std::vector<double> by_repeat, tokens_by_repeat;
  int64_t answers = 0, cut = 0, unanswered = 0;
  double tokens = 0;
};

struct Place {
  size_t variant, task;
};

// NaN where it is unknown, which sums pass on: a mean over the others would be of other answers.
double length_of(const Score& score) {
  return score.tokens == kUnknownTokens ? std::numeric_limits<double>::quiet_NaN() : static_cast<double>(score.tokens);
}

Gathered gather(const EvalRequest& request, const std::vector<Score>& scores, Place at) {
  const auto questions = request.tasks[at.task].task.questions.size();
  const auto repeats = static_cast<size_t>(request.options.repeats);
  Gathered out{std::vector<int64_t>(questions), std::vector<double>(questions), std::vector<double>(questions),
               std::vector<double>(repeats), std::vector<double>(repeats)};
  for (const Score& score : scores) {
    if (score.variant != at.variant || score.task != at.task) continue;
    const auto repeat = static_cast<size_t>(score.repeat);
    out.right[score.question] += score.correct;
    out.strict[score.question] += score.correct;
    out.flexible[score.question] += score.correct_flexible;
    out.by_repeat[repeat] += score.correct;
    out.tokens_by_repeat[repeat] += length_of(score);
    ++out.answers;
    out.cut += score.cut;
    out.unanswered += !score.answered;
    out.tokens += length_of(score);
  }
  for (auto* shares : {&out.strict, &out.flexible}) {
    // Counted, then divided: 3 of 3 is 1, which thirds do not add up to.
    for (double& share : *shares) share /= static_cast<double>(repeats);
  }
  for (auto* means : {&out.by_repeat, &out.tokens_by_repeat}) {
    for (double& mean : *means) mean /= static_cast<double>(questions);
  }
  return out;
}

EvalCell cell_of(const EvalRequest& request, const Gathered& gathered, Place at) {
  const Task& task = request.tasks[at.task].task;
  std::vector<std::string> subjects;
  for (const Question& question : task.questions) subjects.push_back(question.subject);
  const auto answers = static_cast<double>(gathered.answers);
  EvalCell cell;
  cell.variant = request.variants[at.variant];
  cell.task = task.name;
  cell.questions = static_cast<int64_t>(task.questions.size());
  cell.repeats = request.options.repeats;
  cell.strict = accuracy_of(gathered.strict, subjects);
  cell.flexible = accuracy_of(gathered.flexible, subjects);
  cell.by_repeat = gathered.by_repeat;
  cell.decoding_noise = sample_deviation(gathered.by_repeat);
  cell.tokens = gathered.tokens / answers;
  cell.tokens_noise = sample_deviation(gathered.tokens_by_repeat);
  cell.truncated = static_cast<double>(gathered.cut) / answers;
  cell.no_answer = static_cast<double>(gathered.unanswered) / answers;
  cell.collapsed = cell.no_answer >= kCollapse;
  return cell;
}

Json number(double value) {
  return std::isfinite(value) ? Json(value) : Json(nullptr);
}

Json accuracy_json(const Accuracy& accuracy) {
  return {{"mean", number(accuracy.mean)},
          {"low", number(accuracy.interval.low)},
          {"high", number(accuracy.interval.high)},
          {"clusters", accuracy.clusters}};
}

}  // namespace

std::vector<EvalCell> summarize(const EvalRequest& request, const std::vector<Score>& scores, uint64_t seed) {
  const size_t variants = request.variants.size(), tasks = request.tasks.size();
  std::vector<EvalCell> cells(variants * tasks);
  for (size_t task = 0; task < tasks; ++task) {
    const Gathered first = gather(request, scores, {0, task});
    std::vector<double> p;
    for (size_t variant = 0; variant < variants; ++variant) {
      const Gathered gathered = gather(request, scores, {variant, task});
      EvalCell& cell = cells[variant * tasks + task];
      cell = cell_of(request, gathered, {variant, task});
      if (variant == 0) continue;
      cell.against = compare_paired(gathered.right, first.right, request.options.repeats,
                                    static_cast<int64_t>(variants) - 1, seed);
      p.push_back(cell.against->p);
    }
    const std::vector<double> adjusted = holm(p);
    for (size_t variant = 1; variant < variants; ++variant) {
      cells[variant * tasks + task].p_adjusted = adjusted[variant - 1];
    }
  }
  return cells;
}

Json cells_json(const std::vector<EvalCell>& cells) {
  Json out = Json::array();
  for (const EvalCell& cell : cells) {
    Json json = {{"variant", cell.variant},
                 {"task", cell.task},
                 {"questions", cell.questions},
                 {"repeats", cell.repeats},
                 {"accuracy", accuracy_json(cell.strict)},
                 {"accuracy_flexible", accuracy_json(cell.flexible)},
                 {"by_repeat", cell.by_repeat},
                 {"decoding_noise", number(cell.decoding_noise)},
                 {"tokens", number(cell.tokens)},
                 {"tokens_noise", number(cell.tokens_noise)},
                 {"truncated", number(cell.truncated)},
                 {"no_answer", number(cell.no_answer)},
                 {"collapsed", cell.collapsed},
                 {"against_first", nullptr}};
    if (cell.against) {
      json["against_first"] = {{"difference", number(cell.against->difference)},
                               {"low", number(cell.against->interval.low)},
                               {"high", number(cell.against->interval.high)},
                               {"p", number(cell.against->p)},
                               {"p_adjusted", number(cell.p_adjusted)},
                               {"detectable", number(cell.against->detectable)},
                               {"test", cell.against->test}};
    }
    out.push_back(std::move(json));
  }
  return out;
}

Json matrix_json(const EvalRequest& request, const std::vector<Score>& scores) {
  Json out = Json::object();
  for (size_t task = 0; task < request.tasks.size(); ++task) {
    Json ids = Json::array(), rows = Json::object();
    for (const Question& question : request.tasks[task].task.questions) ids.push_back(question.id);
    for (size_t variant = 0; variant < request.variants.size(); ++variant) {
      rows[request.variants[variant]] = gather(request, scores, {variant, task}).strict;
    }
    out[request.tasks[task].task.name] = {{"ids", ids}, {"right", rows}};
  }
  return out;
}

}  // namespace gyro
