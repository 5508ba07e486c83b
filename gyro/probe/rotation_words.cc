// What a comparison of rotations says, in words.

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "gyro/diff/findings/words.h"
#include "gyro/probe/rotations.h"

namespace gyro {
namespace {

using findings::distance;
using findings::fixed;
using findings::percent;

struct Names {
  const std::string &post, &other;
};

// How far Q_1 and Q_2 are from orthogonal, where that is not given: on the long side of what is not square.
std::string orthogonality(const RotationComparison& comparison, const Names& names) {
  double post = 0, other = 0;
  int64_t count = 0;
  for (const RotationRow& row : comparison.rows) {
    const auto side = row.d_in > row.d_out ? &TurnMeasure::q1_orthogonality : &TurnMeasure::q2_orthogonality;
    if (row.d_in == row.d_out || std::isnan(row.pair.post.*side + row.pair.other.*side)) continue;
    post += row.pair.post.*side;
    other += row.pair.other.*side;
    ++count;
  }
  if (count == 0) return "Q_1 and Q_2 are orthogonal by construction: no matrix with a long side could show otherwise.";
  return fmt::format(
      "On the short side Q_1 or Q_2 is orthogonal by construction; on the long one, of {}, ‖QᵀQ − I‖/√n is {} for {} "
      "and {} for {}.",
      findings::counted(count, "matrix that is not square", "matrices that are not square"),
      distance(post / static_cast<double>(count)), names.post, distance(other / static_cast<double>(count)),
      names.other);
}

std::string equality(const RotationComparison& comparison, const Names& names) {
  const RotationPool& all = comparison.all;
  const std::string text =
      fmt::format("Q of {} and Q of {} are {} apart (0: equal, {}: random), {} and {} from the identity", names.post,
                  names.other, distance(all.shared.distance), fixed(std::sqrt(2.0), 2),
                  distance(all.post.identity_distance), distance(all.other.identity_distance));
  const std::string null = distance(all.null.distance);
  switch (comparison.verdicts.distance) {
    case Standing::AsNull:
      return text +
             fmt::format("; a noise post of {}'s size is about as far from {}: {}.", names.other, names.post, null);
    case Standing::Below:
      return text + fmt::format("; a noise post of {}'s size is {} from {}, so that they are nearer than chance ({}).",
                                names.other, null, names.post, findings::z_words(all.distance_z));
    case Standing::Above:
      return text + fmt::format("; a noise post of {}'s size is {} from {}, so that they are farther than chance ({}).",
                                names.other, null, names.post, findings::z_words(all.distance_z));
    default:
      return text + "; no null says what that means.";
  }
}

std::string turns(const RotationComparison& comparison, const Names& names) {
  const SharedMeasure& shared = comparison.all.shared;
  if (comparison.verdicts.turns == Standing::Undefined)
    return "What the two rotations have in common is not defined: one of them is none.";
  const std::string text = fmt::format(
      "What the rotations do to the base's weights correlates by {} (± {} by chance), the changes themselves by {}",
      fixed(shared.turn_correlation, 3), fixed(shared.turn_correlation_sd, 3), fixed(shared.change_correlation, 3));
  switch (comparison.verdicts.turns) {
    case Standing::Above:
      return text +
             fmt::format(": {} and {} share more of their turns than of their changes.", names.post, names.other);
    case Standing::Below:
      return text +
             fmt::format(": {} and {} share less of their turns than of their changes.", names.post, names.other);
    default:
      return text + ": the turns have in common what the changes have, and hardly more or less.";
  }
}

std::string carried(const RotationComparison& comparison, const Names& names) {
  const SharedMeasure &shared = comparison.all.shared, &null = comparison.all.null;
  if (std::isnan(shared.explained)) return fmt::format("{} and {} have the same weights.", names.post, names.other);
  const std::string text =
      fmt::format("Q_c = QᵀQ′ carries {} into {} with an error of {} of their difference, which explains {} of it",
                  names.post, names.other, fixed(shared.carry_error, 3), percent(shared.explained, 3));
  const std::string by_noise = fmt::format("{} of a noise post", percent(null.explained, 3));
  switch (comparison.verdicts.carried) {
    case Standing::AsNull:
      return text + fmt::format(
                        "; {}. Independent sides give {} and {}: that it is carried is no evidence of a shared "
                        "rotation.",
                        by_noise, percent(shared.explained_by_chance, 3), percent(null.explained_by_chance, 3));
    case Standing::Above:
      return text + fmt::format("; {}. Independent sides give {} and {}: more than chance is carried.", by_noise,
                                percent(shared.explained_by_chance, 3), percent(null.explained_by_chance, 3));
    case Standing::Below:
      return text + fmt::format("; {}. Independent sides give {} and {}: less than chance is carried.", by_noise,
                                percent(shared.explained_by_chance, 3), percent(null.explained_by_chance, 3));
    default:
      return text + "; no null says what that means.";
  }
}

std::string unrelated(const RotationComparison& comparison, const Names& names) {
  const RotationPool& all = comparison.all;
  std::string text = fmt::format(
      "{} is another model, no post of the base: unrelated. Its Q is {} from the identity and {} from that of {} "
      "({}: random)",
      names.other, distance(all.other.identity_distance), distance(all.shared.distance), names.post,
      fixed(std::sqrt(2.0), 2));
  if (std::isnan(all.shared.explained)) return text + ".";
  text += fmt::format("; {} of the difference is carried all the same", percent(all.shared.explained, 3));
  if (std::isnan(all.null.explained)) return text + ".";
  return text + fmt::format(", of noise in its place {}.", percent(all.null.explained, 3));
}

}  // namespace

std::vector<std::string> rotation_sentences(const RotationComparison& comparison, const std::string& post,
                                            const std::string& other) {
  const Names names{post, other};
  if (comparison.verdicts.unrelated) return {unrelated(comparison, names)};
  if (std::isnan(comparison.all.shared.distance))
    return {fmt::format("No matrix of {} and {} has rotations that are defined.", post, other)};
  return {orthogonality(comparison, names), equality(comparison, names), turns(comparison, names),
          carried(comparison, names)};
}

}  // namespace gyro
