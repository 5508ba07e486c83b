#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "gyro/infer/engine.h"
#include "gyro/probe/prompts.h"
#include "gyro/tensor/matrix.h"

namespace gyro {

/// What the blocks of a model make of N prompts: hidden states after each block, before the final norm (width d), in
/// the two readings of eq. 17. A matrix a block.
struct Representations {
  /// T x d: of each of the first T positions, the mean over the prompts.
  std::vector<Matrix> position_mean;
  /// N x d: of each prompt, the mean over all its tokens.
  std::vector<Matrix> question_mean;
};

/// Tokens of the shortest prompt.
int64_t shortest_prompt(std::span<const ProbePrompt> prompts);

/// Runs the prompts, of which there is at least one; T is the length of the shortest. Sums are taken in FP64. `done` is
/// called after each. Throws Error: `model` for hidden states that are not finite; Stopped as Engine::forward does.
Representations read_representations(Engine& engine, std::span<const ProbePrompt> prompts,
                                     const std::function<void()>& done);

/// Hidden states of all positions of a prompt, [layers][positions][width], and the logits behind its last. Throws as
/// read_representations.
struct HiddenStates {
  std::vector<float> states, logits;

  /// Of one block and position.
  std::span<const float> at(const Engine& engine, int64_t block, int64_t position) const;
};
HiddenStates hidden_states(Engine& engine, const ProbePrompt& prompt);

}  // namespace gyro
