#pragma once

#include <span>
#include <string_view>

#include "gyro/infer/hyperparameters.h"

namespace gyro {

/// What becomes of a tensor on its way from a checkpoint to llama.cpp.
enum class Change {
  None,
  Norm,        ///< a norm's weight: the architecture may store it less 1
  QueryHeads,  ///< rows of heads that are rotated, as many as query heads have; as llama.cpp pairs the dimensions
  KeyHeads,    ///< the same of keys
};

/// A tensor of a layer that is no W_Q ... W_down: its name in the checkpoint and in a GGUF file, behind the layer's
/// prefix.
struct LayerRow {
  std::string_view name, image;
  Change change = Change::None;
};

/// What the same config.json's model_type may ask for beside the usual: one architecture of llama.cpp seldom does all.
enum class Variant {
  Usual,
  Sliding,  ///< layers that see a window, where the usual one has none
  Mixed     ///< experts behind layers without them, or whose weights are not normalised
};

/// How an architecture of config.json is run: by which of llama.cpp's, what that wants otherwise, and its tensors.
struct EngineArchitecture {
  std::string_view model_type;
  Variant variant = Variant::Usual;
  std::string_view image;  ///< llama.cpp's general.architecture
  std::span<const LayerRow> rows;
  bool neighbours = false;      ///< rotates dimensions 2i and 2i + 1, not i and i + half: rows are permuted
  bool norms_less_one = false;  ///< norms are stored less 1
  bool slides = false;          ///< has layers with a window, by its own means
  bool fused_gate_up = false;   ///< W_gate and W_up in one tensor, ffn_up
  bool frequencies = false;     ///< takes Llama 3's scaling, as rope_freqs
};

/// Throws Error naming `subject` if no architecture here is of that model_type: before its hyperparameters are read,
/// which may have other names.
void check_engine_runs(const std::string& subject, std::string_view model_type);
/// The architecture that runs such a model. Throws Error naming `subject` where there is none: model_type, or what of
/// it is not run.
const EngineArchitecture& engine_architecture(const std::string& subject, const Hyperparameters& parameters);

/// All rows, for tests and messages.
std::span<const EngineArchitecture> engine_architectures();

}  // namespace gyro
