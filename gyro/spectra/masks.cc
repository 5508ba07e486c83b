#include "gyro/spectra/masks.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <numeric>

#include "gyro/linalg/linalg.h"
#include "gyro/spectra/storage.h"

namespace gyro {
namespace {

using linalg::Op;
using linalg::product;

constexpr double kMask = 0.3;

// The value of 0-based `rank` in ascending order: magnitudes are ordered as their bits are.
float value_of_rank(const std::vector<float>& magnitudes, size_t rank) {
  const auto count_by = [&](auto part) {
    std::vector<size_t> counts(size_t{1} << 16);
    for (const float x : magnitudes) {
      if (const auto bin = part(std::bit_cast<uint32_t>(x)); bin >= 0) ++counts[static_cast<size_t>(bin)];
    }
    return counts;
  };
  const auto find = [&](const std::vector<size_t>& counts) {
    size_t bin = 0;
    while (rank >= counts[bin]) rank -= counts[bin++];
    return static_cast<uint32_t>(bin);
  };
  const uint32_t high = find(count_by([](uint32_t bits) { return static_cast<int64_t>(bits >> 16); }));
  const uint32_t low = find(
      count_by([&](uint32_t bits) { return bits >> 16 == high ? static_cast<int64_t>(bits & 0xffff) : int64_t{-1}; }));
  return std::bit_cast<float>(high << 16 | low);
}

void add_magnitudes(const Matrix& values, std::vector<float>& out) {
  for (int64_t j = 0; j < values.cols(); ++j) {
    for (int64_t i = 0; i < values.rows(); ++i) out.push_back(static_cast<float>(std::abs(values(i, j))));
  }
}

// The panel of the approximation by the base's leading short vectors, in the panel's own layout.
Matrix projected(const Panel& panel, ConstMatrixView leading) {
  Matrix image(panel.count, leading.cols, leading.space);
  apply(panel, leading, image);
  return panel.transposed ? product(Op::None, Op::Transpose, leading, image)
                          : product(Op::None, Op::Transpose, image, leading);
}

}  // namespace

BaseMasks base_masks(const TallWeight& base, const Decomposition& decomposition) {
  const ConstMatrixView leading =
      decomposition.short_vectors.view().block(0, 0, base.n, std::max<int64_t>(1, base.n / 10));
  std::vector<float> sizes, principal;
  const auto entries = static_cast<size_t>(base.m * base.n);
  sizes.reserve(entries);
  principal.reserve(entries);
  BaseMasks out;
  for_each_panel(base, [&](const Panel& panel) {
    add_magnitudes(Matrix::copy_of(panel.data, Space::Host), sizes);
    add_magnitudes(Matrix::copy_of(projected(panel, leading), Space::Host), principal);
  });
  const auto part = static_cast<size_t>(kMask * static_cast<double>(entries));
  const float low_end = value_of_rank(sizes, part > 0 ? part - 1 : 0),
              principal_begin = value_of_rank(principal, entries - std::max<size_t>(part, 1));
  out.bits.resize(entries);
  for (size_t i = 0; i < entries; ++i) {
    const bool is_low = sizes[i] <= low_end, is_principal = principal[i] >= principal_begin;
    out.bits[i] = static_cast<uint8_t>((is_low ? BaseMasks::kLow : 0) | (is_principal ? BaseMasks::kPrincipal : 0));
  }
  return out;
}

MaskOverlap mask_overlap(const BaseMasks& masks, const TallWeight& base, const TallWeight& post, double change_norm) {
  constexpr size_t kKinds = 4;  // of bits
  std::array<int64_t, kKinds> changed{};
  const ScaleTable scales(*post.weight);
  const StoredPlaces places(*post.weight);
  std::vector<PlaceTally> tallies(kKinds, PlaceTally(places));
  size_t at = 0;
  for_each_panel(base, post, [&](const Panel& b, const Panel& p) {
    const Matrix before = Matrix::copy_of(b.data, Space::Host), after = Matrix::copy_of(p.data, Space::Host);
    for (int64_t j = 0; j < before.cols(); ++j) {
      for (int64_t i = 0; i < before.rows(); ++i) {
        const uint8_t kind = masks.bits[at++];
        changed[kind] += before(i, j) != after(i, j) ? 1 : 0;
        tallies[kind].add(before(i, j), scales.at(p, i, j));
      }
    }
  });
  const auto count = static_cast<double>(changed[0] + changed[1] + changed[2] + changed[3]);
  if (!(count > 0) || !(change_norm > 0)) return {};
  std::array<PlaceBins, kKinds> bins;
  PlaceBins all;
  for (size_t kind = 0; kind < kKinds; ++kind) {
    bins[kind] = tallies[kind].bins();
    all.insert(all.end(), bins[kind].begin(), bins[kind].end());
  }
  const double e = dense_deviation(all, change_norm);
  std::array<double, kKinds> expected{};
  for (size_t kind = 0; kind < kKinds; ++kind) expected[kind] = changed_by(bins[kind], e);
  const double total = expected[0] + expected[1] + expected[2] + expected[3];
  const auto beside = [&](uint8_t mask) {
    const auto also = static_cast<size_t>(mask), both = size_t{BaseMasks::kLow | BaseMasks::kPrincipal};
    const double null = (expected[also] + expected[both]) / total;
    return Against{static_cast<double>(changed[also] + changed[both]) / count, null,
                   std::sqrt(null * (1 - null) / count)};
  };
  return {beside(BaseMasks::kLow), beside(BaseMasks::kPrincipal)};
}

}  // namespace gyro
