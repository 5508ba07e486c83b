#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

#include "gyro/arch/arch.h"
#include "gyro/spectra/quantities.h"

namespace gyro {

// What the changes of several posts have in common. A number that is not defined is NaN.

/// The changes Δ_a and Δ_b of two posts over one matrix, or over several: counts and sums, and what follows from them.
struct ChangeOverlap {
  int64_t values = 0;                                      ///< entries of the base
  int64_t changed_a = 0, changed_b = 0, changed_both = 0;  ///< entries that are not the base's
  int64_t same_sign = 0;                                   ///< of those that both changed, in the same direction
  double norm_a = 0, norm_b = 0, product = 0;              ///< ‖Δ_a‖, ‖Δ_b‖, ⟨Δ_a, Δ_b⟩
  /// By chance, where the base's entries of one exponent change alike: the product's deviation √(Σ_e ‖Δ_a‖_e² ‖Δ_b‖_e²
  /// / n_e), and how many entries both change, Σ_e changed_a,e changed_b,e / n_e. Of one exponent ‖Δ_a‖‖Δ_b‖/√n and
  /// pqn.
  double product_sd = 0, both_expected = 0;

  void add(const ChangeOverlap& other);
  /// ⟨Δ_a, Δ_b⟩/(‖Δ_a‖‖Δ_b‖); of unrelated changes 0, with the deviation 1/√values where all entries change alike.
  Against cosine() const;
  /// Share of the entries that both changed in which they have the same sign; by coins ½ ± ½/√count.
  Against sign_agreement() const;
  /// Entries that both changed over those that either did, and the same of places that were drawn: pq/(p + q − pq) for
  /// shares p and q, in each stratum of the base's exponents.
  double jaccard() const;
  double jaccard_chance() const;
};

struct MatrixOverlap {
  int64_t layer = 0;
  MatrixType type = MatrixType::Q;
  std::optional<int64_t> expert = {};
  ChangeOverlap overlap = {};
};
struct TypeOverlap {
  MatrixType type = MatrixType::Q;
  int64_t matrices = 0;
  ChangeOverlap overlap = {};
};
/// Two posts, by their places among the comparisons.
struct PostPair {
  int64_t a = 0, b = 0;
  std::vector<MatrixOverlap> matrices = {};
  std::vector<TypeOverlap> types = {};
  int64_t pooled = 0;  ///< matrices that `overlap` is of: of the types that count (type_counts)
  ChangeOverlap overlap = {};
};

/// How the updates of T posts stand in each other's way, each figure beside that of one draw of gaussian updates of the
/// same norms.
struct Interference {
  static constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
  int64_t k = 0;  ///< singular vectors of each update: ⌊n/T⌋
  /// Σ |entries| of (UᵀU − I) Σ (VᵀV − I), U and V the leading k singular vectors of the updates beside each other, Σ
  /// their singular values (Gargiulo et al., Task Singular Vectors).
  double singular_task = kNone, singular_task_null = kNone;
  /// Leading left singular vectors (of Hugging Face's W, the output side) of the sum of the updates that leave at most
  /// 0.05 of its norm.
  int64_t rank = 0;
  /// ‖ΠΔ‖/‖Δ‖ of each post, Π onto those vectors: the subspace alignment ratio (Marczak et al., Iso-C).
  std::vector<double> alignment = {}, alignment_null = {};
};
struct MatrixInterference {
  int64_t layer = 0;
  MatrixType type = MatrixType::Q;
  std::optional<int64_t> expert = {};
  Interference interference = {};
};

struct PostsTogether {
  std::vector<PostPair> pairs = {};
  std::optional<std::vector<MatrixInterference>> interference = {};  ///< where it was asked for
};

}  // namespace gyro
