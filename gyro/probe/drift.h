#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "gyro/infer/engine.h"
#include "gyro/probe/lens.h"
#include "gyro/probe/prompts.h"

namespace gyro {

/// Next-token distributions behind the last token of each prompt, of one model (p) against a base (q): KL(p || q) in
/// nats, its mean and standard error over prompts (NaN of one), and the share of prompts where both find the same token
/// likeliest. Over the tokens that both vocabularies have, each distribution normalised over these.
struct DistributionDrift {
  double kl_mean = 0, kl_se = 0, top1_agreement = 0;
};

/// How far the outputs h_b of a base's block and h_p of another model's part, over all tokens of all prompts. NaN where
/// it is not defined (a state of norm 0).
struct BlockDrift {
  double cosine_mean = 0, cosine_sd = 0;  ///< cos(h_b, h_p), and its population deviation
  double norm_ratio = 0;                  ///< mean of ‖h_p‖/‖h_b‖
  double relative_difference = 0;         ///< √(Σ‖h_p − h_b‖² / Σ‖h_b‖²)
  std::vector<double> by_prompt;          ///< relative_difference of each prompt's own tokens
  DistributionDrift lens;                 ///< of the block's output, each model by its own lens
};

struct Drift {
  double embedding = 0;  ///< relative_difference of the tokens' embeddings, which the first block reads
  std::vector<BlockDrift> blocks;
  DistributionDrift next_token;  ///< of the models' own logits
};

/// A model that runs, and its lens.
struct DriftModel {
  Engine& engine;
  const Lens& lens;
};

/// The common tokens of two vocabularies: those before the end of the smaller.
int64_t common_vocabulary(const DriftModel& a, const DriftModel& b);

/// Throws Error naming the base if the two have not the same number of blocks and width, or if a prompt has a token
/// that the base's vocabulary has not.
void check_comparable(const Lens& base, const Engine& other, std::span<const ProbePrompt> prompts);

/// Runs the prompts, one or more, through both, which check_comparable has passed; the lens on `threads` threads. The
/// result does not depend on them. `done` is called after each prompt. Throws Error: `model` for values that are not
/// finite; Stopped (base/team.h) when the run of the calling thread is stopped.
Drift measure_drift(const DriftModel& base, const DriftModel& other, std::span<const ProbePrompt> prompts, int threads,
                    const std::function<void()>& done);

/// Whether a block's drift is more than a control's of the same size of change: the ratio of the two relative
/// differences, and the mean over prompts of the paired difference of by_prompt in its standard errors (NaN of one
/// prompt). More: ratio above 1.05 and z above 4; Less: below 1/1.05 and below −4.
enum class DriftVerdict { More, Less, AsControl, Undefined };
struct DriftContrast {
  double ratio = 0, z = 0;
  DriftVerdict verdict = DriftVerdict::Undefined;
};
DriftContrast contrast(const BlockDrift& drift, const BlockDrift& control);

}  // namespace gyro
