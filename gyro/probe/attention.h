#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "gyro/infer/engine.h"
#include "gyro/infer/hyperparameters.h"

namespace gyro {

/// What a prompt's last token attends to, which is what the first token of the answer comes of.
struct LastRows {
  std::vector<int64_t> blocks;  ///< ascending
  int64_t heads = 0;
  int64_t positions = 0;      ///< of the prompt
  std::vector<float> values;  ///< probabilities, [blocks][heads][positions]; 0 for keys that are not seen

  std::span<const float> row(size_t block, int64_t head) const {
    return std::span(values).subspan(
        (block * static_cast<size_t>(heads) + static_cast<size_t>(head)) * static_cast<size_t>(positions),
        static_cast<size_t>(positions));
  }
};

/// How far a row's F32 sum may be from 1.
inline constexpr double kRowTolerance = 1e-3;

/// Runs a prompt and reads its last row in the named blocks (ascending, of the engine's). Throws Error as
/// Engine::forward does, and for a row whose sum is off by more than kRowTolerance or no number.
LastRows last_rows(Engine& engine, std::span<const int32_t> ids, const std::vector<int64_t>& blocks);

/// −Σ p log p in nats, 0 log 0 = 0, in FP64. The probabilities are taken as they are, whatever their sum.
double entropy_of(std::span<const double> probabilities);

/// A block's entropies, in nats (design §1, 'attention entropy').
struct BlockEntropy {
  std::vector<double> heads;
  double mean = 0;     ///< of the heads'
  double of_mean = 0;  ///< of the row averaged over heads
};

/// By block, as in `rows`.
std::vector<BlockEntropy> block_entropies(const LastRows& rows);

/// How many keys the last token sees in a block, which is e to the largest entropy there can be: all positions, or
/// those of a sliding window. Without `parameters` (a GGUF file): from the first key on to which any head gives
/// anything. `block` counts in `rows.blocks`.
int64_t keys_seen(const LastRows& rows, size_t block, const Hyperparameters* parameters);

/// A head of a block, or the average of its heads.
struct MapChoice {
  int64_t block = 0;
  int64_t head = kMeanOfHeads;
  static constexpr int64_t kMeanOfHeads = -1;
};

/// Tokens of the longest prompt of which maps are made.
inline constexpr int64_t kMostMapTokens = 512;

/// Attention of every token of a prompt to every other, [queries][keys] each, in the order of `choices`. Throws Error
/// as last_rows does.
std::vector<std::vector<float>> attention_maps(Engine& engine, std::span<const int32_t> ids,
                                               std::span<const MapChoice> choices);

}  // namespace gyro
