#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "gyro/infer/engine.h"
#include "gyro/infer/sampler.h"

namespace gyro {

struct GenerateOptions {
  SamplerOptions sampler;
  int64_t max_tokens = 1024;  ///< most new tokens of a text
  int slots = 32;             ///< texts that are worked on at once; 250 at most, whatever is said
  bool log_probabilities = false;
};

/// A text to continue.
struct GeneratePrompt {
  std::vector<int32_t> ids;
  uint64_t stream = 0;  ///< which random numbers it draws: those of a seed and a stream are always the same
};

enum class Finish {
  End,      ///< one of the model's end tokens
  Length,   ///< max_tokens
  Context,  ///< the context is full
  Stopped   ///< the caller had enough
};

struct Generation {
  std::vector<int32_t> ids;  ///< an end token is the last of them
  Finish finish = Finish::Length;
  /// Of each id among all, by the logits as they are (temperature 1), if asked for.
  std::vector<double> log_probabilities;
};

struct Generations {
  std::vector<Generation> texts;  ///< one a prompt, in their order
  /// Whether a text is to the last bit independent of slots and of other prompts. It is on llama.cpp's CPU; on GPUs
  /// kernels are chosen by how much there is to do, and sums differ in their last bits.
  bool batch_independent = false;
  int64_t prompt_tokens = 0;  ///< computed for prompts, the shared beginning once
  int64_t new_tokens = 0;
};

/// Is told of each new token as it comes, prompts in no order; false ends that prompt's text.
using TokenSink = std::function<bool(size_t prompt, int32_t id)>;

/// Is told of each text that has ended, in no order.
using TextSink = std::function<void(size_t prompt, const Generation& text)>;

/// Continues all prompts, up to one of the ascending `ends`. As many as there are slots are worked on at once, a slot
/// taking the next prompt as soon as its text ends; what all prompts begin with is computed once. Throws Error:
/// `prompt` for one that is empty, has ids beyond the vocabulary, or leaves no room in the context; `memory`; what the
/// sinks throw.
Generations generate(const Engine& engine, std::span<const GeneratePrompt> prompts, std::span<const int32_t> ends,
                     const GenerateOptions& options, const TokenSink& sink = {}, const TextSink& ended = {});

}  // namespace gyro
