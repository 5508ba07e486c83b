#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "gyro/arch/arch.h"
#include "gyro/base/run_options.h"
#include "gyro/checkpoint/source.h"
#include "gyro/spectra/shared_rotation.h"

namespace gyro {

/// Whether differently trained posts of one base share its rotations (App. G.2): one post beside others.
struct RotationRequest {
  std::shared_ptr<const TensorSource> base, post;
  std::vector<std::shared_ptr<const TensorSource>> others;
  int64_t null_draws = 1;
  uint64_t seed = 0;
  RunOptions run;
};

/// One matrix.
struct RotationRow {
  MatrixKey key;
  int64_t d_in = 0, d_out = 0;
  RotationPair pair;
};

/// Rows of one type, or all. Distances, departures, correlations and cosines are means over those that are defined (a
/// turn's correlation and a change's over the same rows); `explained` and what goes with it are shares of the sum of
/// all squared differences, and carry errors follow from such sums. Deviations are of these means and shares.
struct RotationPool {
  std::optional<MatrixType> type;  ///< nothing: all
  int64_t matrices = 0;
  TurnMeasure post, other;  ///< without flags
  SharedMeasure shared, null;
  /// Mean over rows of ln(distance / distance of the null) beside its own standard error: NaN with fewer than 3 rows.
  double distance_z = kNotDefined;
};

/// How a figure stands to its null: beyond 4 of its deviations, and by more than a margin that matters.
enum class Standing { Undefined, AsNull, Above, Below };

struct RotationVerdicts {
  /// The other is another model, no post of the base: its median cosine with it is within max(0.1, 4/√(d_in d_out)) and
  /// Q_p' more than 1 from the identity. Nothing else is then asked.
  bool unrelated = false;
  Standing distance = Standing::Undefined;  ///< of Q_p and Q_p', to a noise post's; margin 5 %
  Standing turns = Standing::Undefined;     ///< what turns have in common, to what changes have; margin 0.05
  /// What is explained above independent sides' share, to the same of a noise post; margin 0.02.
  Standing carried = Standing::Undefined;
};

struct RotationComparison {
  std::vector<RotationRow> rows;    ///< in the order of their keys
  std::vector<RotationPool> types;  ///< those that occur, in the order of kAllMatrixTypes
  RotationPool all;
  RotationVerdicts verdicts;
};

/// Parts of fused tensors, not the whole. A comparison for each of the others; nothing if `run.stop` ended it. Throws
/// Error for models that do not have the same matrices, for a model that is named twice, and for NaN and Inf.
std::optional<std::vector<RotationComparison>> compare_rotations(const RotationRequest& request);

/// What pools and verdicts say of rows.
RotationComparison pool_rotations(std::vector<RotationRow> rows, int64_t null_draws);

/// The same in words, with the figures that decide, a sentence a string. The names are the models'.
std::vector<std::string> rotation_sentences(const RotationComparison& comparison, const std::string& post,
                                            const std::string& other);

}  // namespace gyro
