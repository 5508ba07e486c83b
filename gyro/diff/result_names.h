#pragma once

#include <array>
#include <string_view>
#include <utility>

#include "gyro/diff/result.h"

namespace gyro {

/// The names of an enum's values in result.json.
template <typename E>
inline constexpr int kNames = 0;
template <>
inline constexpr auto kNames<Method> =
    std::array{std::pair(Method::Gram, std::string_view("gram")), std::pair(Method::Svd, std::string_view("svd"))};
template <>
inline constexpr auto kNames<AlphaMethod> =
    std::array{std::pair(AlphaMethod::ClosedForm, std::string_view("closed_form")),
               std::pair(AlphaMethod::Sampled, std::string_view("sampled"))};
template <>
inline constexpr auto kNames<Role> =
    std::array{std::pair(Role::Post, std::string_view("post")), std::pair(Role::Control, std::string_view("control"))};
template <>
inline constexpr auto kNames<FindingId> =
    std::array{std::pair(FindingId::Unrelated, std::string_view("unrelated")),
               std::pair(FindingId::UniformScaling, std::string_view("uniform_scaling")),
               std::pair(FindingId::CommonScalar, std::string_view("common_scalar")),
               std::pair(FindingId::WoAnomaly, std::string_view("w_o_anomaly")),
               std::pair(FindingId::CoRotation, std::string_view("co_rotation")),
               std::pair(FindingId::LowRankUpdate, std::string_view("low_rank_update")),
               std::pair(FindingId::SparseUpdate, std::string_view("sparse_update")),
               std::pair(FindingId::PrincipalUpdate, std::string_view("principal_update")),
               std::pair(FindingId::Intruders, std::string_view("intruders")),
               std::pair(FindingId::UntouchedTypes, std::string_view("untouched_types")),
               std::pair(FindingId::RoundingOnly, std::string_view("rounding_only")),
               std::pair(FindingId::Order, std::string_view("order"))};
template <>
inline constexpr auto kNames<Verdict> = std::array{std::pair(Verdict::Yes, std::string_view("yes")),
                                                   std::pair(Verdict::No, std::string_view("no")),
                                                   std::pair(Verdict::Undefined, std::string_view("undefined")),
                                                   std::pair(Verdict::Unclear, std::string_view("unclear")),
                                                   std::pair(Verdict::AsChance, std::string_view("as_chance")),
                                                   std::pair(Verdict::SomeTypes, std::string_view("some_types")),
                                                   std::pair(Verdict::Slight, std::string_view("slight")),
                                                   std::pair(Verdict::Counter, std::string_view("counter")),
                                                   std::pair(Verdict::Rounding, std::string_view("rounding")),
                                                   std::pair(Verdict::NotAsked, std::string_view("not_asked"))};

template <>
inline constexpr auto kNames<OutsideKind> = std::array{
    std::pair(OutsideKind::Embeddings, std::string_view("embeddings")),
    std::pair(OutsideKind::Head, std::string_view("head")), std::pair(OutsideKind::Norms, std::string_view("norms")),
    std::pair(OutsideKind::Biases, std::string_view("biases")),
    std::pair(OutsideKind::Other, std::string_view("other"))};
template <>
inline constexpr auto kNames<HeadKind> = std::array{
    std::pair(HeadKind::None, std::string_view("none")), std::pair(HeadKind::Own, std::string_view("own")),
    std::pair(HeadKind::Tied, std::string_view("tied")), std::pair(HeadKind::Missing, std::string_view("missing"))};

template <>
inline constexpr auto kNames<Measure> =
    std::array{std::pair(Measure::UpdateSpectrum, std::string_view("update-spectrum")),
               std::pair(Measure::Masks, std::string_view("masks")),
               std::pair(Measure::Interference, std::string_view("interference"))};

/// The name of one; empty for what is no value of the enum.
template <typename E>
constexpr std::string_view name_of(E value) {
  for (const auto& [one, name] : kNames<E>) {
    if (one == value) return name;
  }
  return "";
}

}  // namespace gyro
