#pragma once

#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "gyro/arch/arch.h"
#include "gyro/diff/result.h"

namespace gyro {

/// One tensor outside the matrices, by its place: its name behind what stands before the layers ("embed_tokens.weight",
/// "layers.0.input_layernorm.weight"), so that models whose names have other prefixes compare. A name is empty where
/// the model has no such tensor. Of a head that one model ties to its embeddings, that model's name is the embeddings'.
struct OutsidePair {
  std::string place;
  OutsideKind kind = OutsideKind::Other;
  bool inside = false;  ///< of the language model itself, not of a tower beside it
  std::string base, post;
};

/// What lies outside the matrices of two models of one shape, before anything of it is read.
struct OutsidePairs {
  std::vector<OutsidePair> pairs;
  HeadKind base_head = HeadKind::None, post_head = HeadKind::None;
};

/// Every tensor that is in no matrix of `held` (sites of the base and, by same_site, of the post), by its place. FP8
/// scales are none, nor what follows from config.json: rotary frequencies, masks that attention calls its bias.
OutsidePairs pair_outside(const TensorSource& base, const ModelMap& base_map, const TensorSource& post,
                          const ModelMap& post_map, const std::vector<MatrixSite>& held);

/// What a user should know of it before the work begins: embeddings, norms, a head or biases that one model lacks. No
/// line where there is nothing to say.
std::string outside_warning(const OutsidePairs& outside);

/// Compares the values of each pair (‖·‖ exact sums in FP64 over rows that are read in pieces, on `threads` threads of
/// the processor; the same for any number of them). The tokens have neither texts nor words yet (complete_tokens).
/// Nothing if `stop` ended it. Throws Error naming the tensor.
std::optional<Outside> measure_outside(const TensorSource& base, const TensorSource& post, const OutsidePairs& outside,
                                       int threads, const std::function<bool()>& stop);

/// Of the pairs that both have or one lacks, those whose values differ: by the post's names, or the base's where the
/// post has none.
std::vector<std::string> differing(const TensorSource& base, const TensorSource& post, const OutsidePairs& outside,
                                   int threads);

}  // namespace gyro
