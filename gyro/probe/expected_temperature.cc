#include "gyro/probe/expected_temperature.h"

#include <algorithm>

#include "gyro/base/team.h"
#include "gyro/diff/runner.h"
#include "gyro/infer/hyperparameters.h"

namespace gyro {
namespace {

DiffResult diff_of(const std::shared_ptr<const TensorSource>& base, const std::shared_ptr<const TensorSource>& post,
                   const std::vector<int64_t>& blocks, const RunOptions& run) {
  DiffRequest request;
  request.base = "base";
  request.posts = {"post"};
  request.opened = {{"base", base}, {"post", post}};
  request.layers = blocks;
  request.types = {MatrixType::Q, MatrixType::K};
  request.null_draws = 0;
  request.run = run;
  request.warn = [](const std::string&) {};
  DiffOutcome outcome = run_diff(request);
  if (!outcome.result) throw Stopped{};
  return std::move(*outcome.result);
}

// Whether the attention that a matrix belongs to has such a tensor.
bool has(const TensorSource& model, const std::string& matrix, const std::vector<std::string>& names) {
  const std::string module = matrix.substr(0, matrix.rfind('.', matrix.rfind(".weight") - 1) + 1);
  return std::ranges::any_of(names, [&](const std::string& name) { return model.find(module + name) != nullptr; });
}

}  // namespace

std::vector<ExpectedTemperature> expected_temperatures(const std::shared_ptr<const TensorSource>& base,
                                                       const std::shared_ptr<const TensorSource>& post,
                                                       const std::vector<int64_t>& blocks, const RunOptions& run) {
  const DiffResult result = diff_of(base, post, blocks, run);
  const bool capped = read_hyperparameters(*post).attention_soft_cap > 0;
  std::vector<ExpectedTemperature> out;
  for (const int64_t block : blocks) {
    ExpectedTemperature of;
    of.block = block;
    bool normed = false, biased = false;
    for (const MatrixRow& row : result.comparisons.front().matrices) {
      if (row.layer != block) continue;
      if (row.type == MatrixType::Q) of.alpha_q = row.alpha_mean;
      if (row.type == MatrixType::K) of.alpha_k = row.alpha_mean;
      normed = normed || has(*post, row.tensor, {"q_norm.weight", "k_norm.weight"});
      biased = biased || has(*post, row.tensor, {"q_proj.bias", "k_proj.bias", "qkv_proj.bias"});
    }
    if (normed) {
      of.why = "norms of q and k divide the scale of W_Q and W_K out";
    } else {
      of.expected = 1 / (of.alpha_q * of.alpha_k);
      if (biased) of.why = "biases of q and k keep their size: it is of the part of the scores without them";
      if (capped) of.why = "scores are capped: it is of those below the cap";
    }
    out.push_back(std::move(of));
  }
  return out;
}

}  // namespace gyro
