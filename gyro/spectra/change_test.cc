// Rank and size of a change beside what storing it rounds away.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "gyro/spectra/moments.h"
#include "gyro/spectra/pair.h"
#include "gyro/spectra/reference_svd.h"
#include "gyro/spectra/test_util.h"
#include "gyro/tensor/narrow.h"

namespace gyro {
namespace {

/// A weight as it is stored, with its bytes.
class Stored {
 public:
  Stored(const Matrix& values, DType dtype)
      : bytes_(static_cast<size_t>(values.rows() * values.cols()) * dtype_size(dtype)) {
    narrow(dtype, values.data(), static_cast<size_t>(values.rows() * values.cols()), bytes_.data());
    weight_ = weight_of(values);
    weight_.dtype = dtype;
    weight_.data = bytes_.data();
  }
  const Weight& weight() const { return weight_; }
  Matrix values() const {
    Matrix out(weight_.cols, weight_.rows);
    widen(weight_.dtype, weight_.data, static_cast<size_t>(weight_.cols * weight_.rows), out.data());
    return out;
  }

 private:
  std::vector<std::byte> bytes_;
  Weight weight_;
};

PairMeasure compare_stored(const Matrix& base, const Matrix& post, DType dtype) {
  const Stored b(base, dtype), p(post, dtype);
  return BaseMatrix(b.weight()).compare(p.weight(), {});
}

constexpr std::pair<int64_t, int64_t> kShapes[] = {{96, 64}, {64, 96}, {80, 80}};

/// ‖G‖_F²/‖G‖₂² of a gaussian matrix.
double noise_stable_rank(int64_t m, int64_t n) {
  const auto rows = static_cast<double>(m), columns = static_cast<double>(n);
  return rows * columns / std::pow(std::sqrt(rows) + std::sqrt(columns), 2);
}

TEST(UpdateRank, CountsWhatStandsAboveRounding) {
  for (const auto& [d_in, d_out] : kShapes) {
    const int64_t n = std::min(d_in, d_out);
    for (const DType dtype : {DType::BF16, DType::F32}) {
      const Matrix base = Stored(combined(0.05, gaussian(d_in, d_out, 1), 0, gaussian(d_in, d_out, 1)), dtype).values();
      for (const int64_t r : {1, 8, 16}) {
        const Matrix low = times(gaussian(d_in, r, 2), gaussian(r, d_out, 3));
        const PairMeasure m =
            compare_stored(base, combined(1, base, 0.03 * frobenius(base) / frobenius(low), low), dtype);
        EXPECT_NEAR(m.update_rank * static_cast<double>(n), static_cast<double>(r), dtype == DType::F32 ? 1e-9 : 1);
      }
      // The base's own outlier, scaled, is no direction of the change.
      Matrix outlier = base.clone();
      for (int64_t i = 0; i < d_in; ++i) outlier(i, 0) *= 50;
      const Matrix noise = gaussian(d_in, d_out, 4);
      const PairMeasure dense = compare_stored(
          outlier, combined(0.99, outlier, 0.02 * frobenius(base) / frobenius(noise), noise), DType::F32);
      EXPECT_NEAR(dense.stable_rank, noise_stable_rank(d_in, d_out), 0.15 * noise_stable_rank(d_in, d_out));
      EXPECT_EQ(dense.update_rank, 1);
    }
    // A scaled base leaves rounding alone: nothing stands above it, though E is small beside c W_b − W_b.
    const Matrix base = Stored(gaussian(d_in, d_out, 5), DType::BF16).values();
    const PairMeasure scaled = compare_stored(base, combined(0.9, base, 0, base), DType::BF16);
    EXPECT_LE(scaled.update_rank, 0.05);
    EXPECT_NEAR(scaled.stable_rank, noise_stable_rank(d_in, d_out), 0.15 * noise_stable_rank(d_in, d_out));
  }
}

// E that is nothing beside Δ: its Gram matrix is taken from the weights.
TEST(StableRank, OfAChangeHiddenInAScale) {
  const Matrix base = gaussian(70, 50, 5), low = times(gaussian(70, 3, 6), gaussian(3, 50, 7));
  for (const double size : {1e-2, 1e-5, 1e-9}) {
    const Matrix post = combined(0.5, base, size, low);
    const PairMeasure m = compare(base, post);
    const Matrix e = combined(1, post, -m.scale, base);
    const double largest = static_cast<double>(reference_svd<Quad>(e).sigma[0]);
    EXPECT_NEAR(m.stable_rank, std::pow(frobenius(e) / largest, 2), 1e-5 * m.stable_rank) << size;
  }
}

// What rounding a scaled base leaves is as large as rounding is said to be, and it is off the diagonal as noise is.
TEST(RoundingNorm, IsWhatAScaledBaseLeaves) {
  for (const auto& [d_in, d_out] : kShapes) {
    const Matrix base =
        Stored(combined(0.05, gaussian(d_in, d_out, 8), 0, gaussian(d_in, d_out, 8)), DType::BF16).values();
    const auto m = static_cast<double>(std::max(d_in, d_out)), n = static_cast<double>(std::min(d_in, d_out));
    for (const double c : {0.97, 0.9, 0.81, 1.13}) {
      const PairMeasure measure = compare_stored(base, combined(c, base, 0, base), DType::BF16);
      const double off = measure.symmetry.whole.energy;
      const double ratio = off / (std::pow(measure.rounding_norm, 2) * (n - 1) / m);
      EXPECT_GT(ratio, 0.5) << c;
      EXPECT_LT(ratio, 1.2) << c;
    }
    const PairMeasure trained =
        compare_stored(base, combined(1, base, 0.05 * 0.05, gaussian(d_in, d_out, 9)), DType::BF16);
    EXPECT_GT(trained.symmetry.whole.energy / (std::pow(trained.rounding_norm, 2) * (n - 1) / m), 100);
  }
}

// What a cast leaves is told from what training does, even where that is as small.
TEST(RoundingOnly, IsACastAndNothingElse) {
  const Matrix exact = combined(0.05, gaussian(96, 64, 1), 0, gaussian(96, 64, 1));
  const Stored f32(exact, DType::F32), f16(exact, DType::F16), bf16(exact, DType::BF16);
  const auto flagged = [](const Weight& base, const Weight& post) {
    return has_flag(BaseMatrix(base).compare(post, {}), "rounding_only");
  };
  EXPECT_TRUE(flagged(f16.weight(), bf16.weight()));
  EXPECT_TRUE(flagged(bf16.weight(), f16.weight()));
  EXPECT_TRUE(flagged(f32.weight(), bf16.weight()));
  for (const int64_t block : {int64_t{16}, int64_t{40}, int64_t{1000}}) {
    ScaledFp8 fp8(bf16.values(), block);
    EXPECT_TRUE(flagged(bf16.weight(), fp8.weight())) << block;
    EXPECT_TRUE(flagged(fp8.weight(), bf16.weight())) << block;
    Matrix moved = bf16.values();
    moved(5, 7) *= 1.2;  // by more than half of FP8's place
    fp8.store(moved);
    EXPECT_FALSE(flagged(bf16.weight(), fp8.weight())) << block;
  }
  // What F16 cannot store for being small, and all else as it was.
  Matrix small = bf16.values();
  small(3, 4) = 1e-8;
  EXPECT_TRUE(flagged(Stored(small, DType::BF16).weight(), Stored(small, DType::F16).weight()));
  EXPECT_FALSE(flagged(f32.weight(), f32.weight()));
  const Matrix change = combined(3e-5, gaussian(96, 64, 2), 0, exact);  // below a place of BF16
  EXPECT_FALSE(flagged(bf16.weight(), Stored(combined(1, bf16.values(), 1, change), DType::F32).weight()));
  EXPECT_FALSE(flagged(bf16.weight(), Stored(combined(1, bf16.values(), 20, change), DType::BF16).weight()));
  EXPECT_FALSE(flagged(f32.weight(), Stored(combined(1, exact, 20, change), DType::BF16).weight()));
}

// By brute force: which weights changed, and which are small.
TEST(Masks, AreTheirDefinitionAndMeetTheirNull) {
  PairOptions options;
  options.masks = true;
  const Matrix base = Stored(combined(0.05, gaussian(96, 64, 1), 0, gaussian(96, 64, 1)), DType::BF16).values();
  const Stored stored(base, DType::BF16);
  std::vector<double> sizes(base.data(), base.data() + 96 * 64);
  for (double& x : sizes) x = std::abs(x);
  std::sort(sizes.begin(), sizes.end());
  const double end = sizes[96 * 64 * 3 / 10 - 1];
  Moments z_low, z_principal;
  for (uint64_t draw = 0; draw < 20; ++draw) {
    const Stored post(combined(1, base, 2e-5, gaussian(96, 64, 100 + draw)), DType::BF16);
    const Matrix after = post.values();
    double changed = 0, low = 0;
    for (int64_t i = 0; i < 96 * 64; ++i) {
      const bool differs = base.data()[i] != after.data()[i];
      changed += differs ? 1 : 0;
      low += differs && std::abs(base.data()[i]) <= end ? 1 : 0;
    }
    const MaskOverlap masks = *BaseMatrix(stored.weight()).compare(post.weight(), options).quantities.masks;
    EXPECT_DOUBLE_EQ(masks.low.value, low / changed);
    EXPECT_GT(masks.low.null, 0.35);  // not the 0.3 that all changes spread evenly would have
    EXPECT_LT(masks.principal.null, 0.3);
    z_low.add(masks.low.z());
    z_principal.add(masks.principal.z());
  }
  EXPECT_LT(std::abs(z_low.mean()), 1.5);
  EXPECT_LT(std::abs(z_principal.mean()), 1.5);
}

}  // namespace
}  // namespace gyro
