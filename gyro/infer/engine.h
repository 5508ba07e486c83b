#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "gyro/checkpoint/source.h"
#include "gyro/infer/vocabulary.h"

struct llama_context;
struct llama_model;
struct llama_vocab;

namespace gyro {

struct ImagePlan;

inline constexpr int kMostThreads = 512;  ///< that llama.cpp takes

struct EngineOptions {
  /// Of matrices and embeddings: F32, F16 or BF16; the checkpoint's own if not given. In F32 logits are those of
  /// transformers in float32 to 2e-5; in BF16 activations are rounded to it before each product, too. A GGUF file
  /// stays as it is.
  std::optional<DType> dtype;
  int64_t context = 0;  ///< most positions of a prompt and what follows it; 0: the model's own
  int threads = 0;      ///< 0: as many as there are processors; kMostThreads at most
  /// All layers on the GPUs that llama.cpp has, where F32 is multiplied in TF32 (logits then differ by up to 0.5 % of
  /// the largest); its CPU otherwise.
  bool on_gpu = false;
  const Vocabulary* vocabulary = nullptr;  ///< for tokens' texts; without it prompts are ids only
};

/// What to read of a prompt's run, each ascending, from 0: rows of attention by query position, and hidden states by
/// position.
struct TapRequest {
  std::vector<int64_t> attention_rows = {}, hidden_positions = {};
  std::vector<int64_t> attention_layers = {};  ///< whose attention is read, ascending; empty: all layers'
};

/// What was read, in row-major arrays.
struct Taps {
  /// Probabilities, [layers that were asked for][attention_rows][heads][positions of the prompt]; 0 for keys that a
  /// query does not see.
  std::vector<float> attention;
  /// After each block, before the final norm: [layers][hidden_positions][width].
  std::vector<float> hidden;
};

/// Which positions' logits are wanted.
enum class LogitRows { Last, All };
/// Takes the logits (one a row of the embedding) that follow the prompt's position `position`; called in their order.
using LogitSink = std::function<void(int64_t position, std::span<const float> logits)>;

struct Continuation {
  std::vector<int32_t> ids;  ///< an end token, where one was met, is the last
  double least_margin = 0;   ///< the smallest difference of the two largest logits on the way; infinite for no ids
};

/// A model in memory that llama.cpp runs: prompts of token ids, one at a time, in F32 attention and key-value cache.
/// Its functions are not for several threads at once.
class Engine {
 public:
  /// Loads the model of a checkpoint or construction. Its matrices are read once and kept as they are run, nothing else
  /// of them stays in memory. Throws Error naming what of it cannot be read or is not run, or `memory`.
  explicit Engine(const TensorSource& source, const EngineOptions& options = {});
  /// The same, planned already: `plan` is plan_image(source, options.dtype).
  Engine(const TensorSource& source, ImagePlan plan, const EngineOptions& options);
  /// Loads a GGUF file. Throws Error naming it, with what llama.cpp says.
  explicit Engine(const std::filesystem::path& gguf, const EngineOptions& options = {});
  Engine(Engine&&) noexcept;
  ~Engine();

  /// Puts the weights of `source` in place of what is loaded, whatever they were: the same model with other values,
  /// such as a construction. What it gives is to the last bit what a freshly loaded model gives. Throws Error if
  /// `source` differs in anything but values or in dtype (some weights may be its own by then, after an error while
  /// reading: swap again).
  void swap(const TensorSource& source);

  /// Runs a prompt of 1 or more tokens. Throws Error: `prompt` for ids beyond the vocabulary and for one that is longer
  /// than the context; tap requests must lie within it. Throws Stopped (base/team.h) soon after the run of the calling
  /// thread is stopped, as everything here that computes.
  void forward(std::span<const int32_t> ids, LogitRows rows, const LogitSink& logits);
  Taps forward(std::span<const int32_t> ids, LogitRows rows, const LogitSink& logits, const TapRequest& request);
  /// Logits of every position, row-major [ids][vocabulary].
  std::vector<float> logits(std::span<const int32_t> ids);
  /// The likeliest token, again and again, up to `most` or one of `ends`. Throws as forward, `most` counting to the
  /// length.
  Continuation continue_greedily(std::span<const int32_t> ids, int64_t most, std::span<const int32_t> ends);

  int64_t layers() const;
  int64_t heads() const;
  int64_t width() const;
  int64_t vocabulary() const;  ///< logits of a position
  int64_t context() const;     ///< most positions
  int threads() const;
  bool on_gpu() const;  ///< whether layers are on GPUs
  const llama_model* model() const;
  const llama_vocab* vocab() const;

  using ContextPointer = std::unique_ptr<llama_context, void (*)(llama_context*)>;
  /// An empty context of its own for up to `sequences` texts of `positions` each, and `batch` tokens at once; each text
  /// has a stream of the cache to itself, in F32; in F16, with fused attention, for a 16-bit model on GPUs. It lives no
  /// longer than the engine, whose threads it takes. Throws Error: `memory`.
  ContextPointer make_context(int64_t positions, int64_t sequences, int64_t batch) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace gyro
