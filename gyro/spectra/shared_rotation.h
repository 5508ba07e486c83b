#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "gyro/spectra/factors.h"

namespace gyro {

// Whether the rotations that two posts of one base came by are one (App. G.2). With U_p = U_b Q_1, V_p = V_b Q_2 (eq.
// 6) and Q_p = polar(Q_1 + Q_2) (eq. 13), each singular pair of a post flipped by sign(u_b·u_p + v_b·v_p), nothing here
// depends on signs. A number that is not defined is NaN: all that takes vectors, of a rank-deficient matrix; what is
// relative to a change, where there is none.
//
// First order in E, X = U_bᵀEV_b: Q_p − I has the entries (X_ij + X_ji) / 2(σ_j − σ_i). They are largest for close σ,
// so that distances between rotations, and products of their generators, hang on few pairs. What a rotation does to the
// base's weights, Q_p Σ_b Q_pᵀ, has the entries (X_ij + X_ji) / 2: all pairs weigh alike, and none within a cluster.

inline constexpr double kNotDefined = std::numeric_limits<double>::quiet_NaN();

/// How one post is turned against the base. `*_null`: mean over draws of a noise post c W_b + E, E gaussian with the
/// norm of the post's own residual.
struct TurnMeasure {
  double cosine = kNotDefined;             ///< of W_p with W_b
  double relative_change = kNotDefined;    ///< ‖W_p − W_b‖ / ‖W_b‖
  double q1_orthogonality = kNotDefined;   ///< ‖Q_1ᵀQ_1 − I‖_F / √n
  double q2_orthogonality = kNotDefined;   ///< the same of Q_2
  double identity_distance = kNotDefined;  ///< ‖Q_p − I‖_F / √n; √2 for random rotations
  double identity_distance_null = kNotDefined;
  std::vector<std::string>
      flags;  ///< "unchanged", "rank_deficient", "mirrored_direction" (common_rotation, incomplete)
};

/// What two posts have in common, or a post and another's noise.
struct SharedMeasure {
  double distance = kNotDefined;  ///< ‖Q_p − Q_p'‖_F / √n
  /// Correlation of what the rotations do to the base's weights: of the entries off the diagonal of Q_p Σ_b Q_pᵀ and
  /// Q_p' Σ_b Q_p'ᵀ. Invariant to rotations within clusters of σ.
  double turn_correlation = kNotDefined;
  /// Its deviation were each entry's sign a coin; √(2/(n(n−1))) for independent gaussian changes.
  double turn_correlation_sd = kNotDefined;
  /// Correlation of the residuals W_p − c W_b: what the two changes have in common, turns or not.
  double change_correlation = kNotDefined;
  double difference = kNotDefined;  ///< ‖W_p' − W_p‖_F
  /// Eq. 23 with Q_c = Q_pᵀQ_p': ‖W_p' − U_p Q_c Σ_p' Q_cᵀ V_pᵀ‖_F / ‖W_p' − W_p‖_F. 1 is no better than p as it is.
  /// Right to about 1e-8 where it vanishes and the matrix is not square.
  double carry_error = kNotDefined;
  double carry_error_kept = kNotDefined;  ///< the same with Σ_p: the rotation alone
  double explained = kNotDefined;         ///< 1 − carry_error²
  /// What `explained` is, to first order, if the two sides turn independently of each other: half of what
  /// U_pᵀ(W_p' − W_p)V_p has off its diagonal, and the diagonal, over the square of `difference`. (n + 1)/2m for a
  /// gaussian difference.
  double explained_by_chance = kNotDefined;
  double explained_sd = kNotDefined;  ///< deviation of `explained`, signs being coins
};

struct RotationPair {
  int64_t n = 0;
  Method method = Method::Gram;
  TurnMeasure post, other;
  SharedMeasure shared;
  SharedMeasure null;  ///< mean over draws: the same post and a noise post in the other's place
};

struct SharedRotationOptions {
  int64_t null_draws = 1;  ///< 0: no nulls
  uint64_t seed = 0;       ///< all draws' of this matrix
};

/// One matrix of a base and of one of its posts, to be compared with other posts of the base, where the thread works.
/// Gram paths where they are exact enough (factorize_any), else direct SVDs of all three.
class SharedRotation {
 public:
  /// Shapes are alike. Both outlive it. Throws Error naming the tensor for NaN and Inf.
  SharedRotation(const Weight& base, const Weight& post, const SharedRotationOptions& options);
  ~SharedRotation();
  SharedRotation(const SharedRotation&) = delete;
  SharedRotation& operator=(const SharedRotation&) = delete;
  RotationPair compare(const Weight& other);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace gyro
