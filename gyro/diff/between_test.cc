#include "gyro/diff/between.h"

#include <gtest/gtest.h>

#include <cmath>

#include "gyro/diff/result_json.h"
#include "gyro/diff/runner.h"
#include "gyro/diff/test_util.h"
#include "gyro/linalg/linalg.h"
#include "gyro/spectra/test_util.h"

namespace gyro {
namespace {

Matrix sum_of(const Matrix& a, double factor, const Matrix& b) {
  Matrix out = a.clone();
  linalg::add(factor, b, out);
  return out;
}

// The matrices must outlive what is returned.
ChangeOverlap overlap(const Matrix& base, const Matrix& a, const Matrix& b) {
  return overlaps_of(as_weight(base, "base"), {as_weight(a, "a"), as_weight(b, "b")}).front();
}

TEST(Between, TwiceTheChangeIsTheSameChange) {
  Matrix base = gaussian(70, 45, 1), a(70, 45), b(70, 45);
  const Matrix change = gaussian(70, 45, 2);
  for (int64_t i = 0; i < 70 * 45; ++i) {
    const double delta = i % 3 == 0 ? 0 : std::ldexp(std::round(change.data()[i] * 1024), -12);
    // Of one exponent, with sums that are exact.
    const double value = 1 + std::ldexp(std::round(std::fmod(std::abs(base.data()[i]), 0.5) * 1024), -10);
    base.data()[i] = value;
    a.data()[i] = value + delta;
    b.data()[i] = value + 2 * delta;
  }
  const ChangeOverlap one = overlap(base, a, b);
  EXPECT_NEAR(one.cosine().value, 1, 1e-14);
  EXPECT_DOUBLE_EQ(one.cosine().sd, 1 / std::sqrt(70.0 * 45));
  EXPECT_EQ(one.jaccard(), 1);
  EXPECT_EQ(one.sign_agreement().value, 1);
  EXPECT_EQ(one.changed_both, one.changed_a);
  EXPECT_NEAR(one.norm_b, 2 * one.norm_a, 1e-12);
  const double share = static_cast<double>(one.changed_a) / (70 * 45);
  EXPECT_NEAR(one.jaccard_chance(), share / (2 - share), 1e-15);
  EXPECT_NEAR(overlap(base, a, sum_of(base, -1, sum_of(a, -1, base))).cosine().value, -1, 1e-14);
}

// Unrelated changes below the places of what is stored change the same small weights.
TEST(Between, RoundedNoiseIsAsChance) {
  const auto stored = [](const Matrix& m) {
    Matrix out = m.clone();
    for (int64_t i = 0; i < m.rows() * m.cols(); ++i) {
      const double place = std::exp2(std::floor(std::log2(std::abs(m.data()[i]))) - 7);  // BF16's
      out.data()[i] = std::round(m.data()[i] / place) * place;
    }
    return out;
  };
  const Matrix base = stored(gaussian(200, 150, 1));
  const auto noisy = [&](uint64_t seed) { return stored(sum_of(base, 1e-3, gaussian(200, 150, seed))); };
  double far = 0;
  for (uint64_t seed = 10; seed < 30; seed += 2) {
    const ChangeOverlap one = overlap(base, noisy(seed), noisy(seed + 1));
    const double p = static_cast<double>(one.changed_a) / (200 * 150);
    EXPECT_GT(one.jaccard(), 1.5 * p / (2 - p));  // what places alike for all would have
    EXPECT_NEAR(one.jaccard() / one.jaccard_chance(), 1, 0.1);
    far = std::max(far, std::abs(one.cosine().z()));
  }
  EXPECT_LT(far, 3.5);
}

TEST(Between, ChangesInOtherPlacesHaveNothingInCommon) {
  Matrix base = gaussian(30, 50, 1);
  for (int64_t i = 0; i < 30 * 50; ++i) base.data()[i] = 1 + std::fmod(std::abs(base.data()[i]), 1);  // of one exponent
  Matrix a = base.clone(), b = base.clone();
  for (int64_t i = 0; i < 30 * 50; ++i) (i % 2 == 0 ? a : b).data()[i] += 1;
  const ChangeOverlap one = overlap(base, a, b);
  EXPECT_EQ(one.cosine().value, 0);
  EXPECT_EQ(one.jaccard(), 0);
  EXPECT_NEAR(one.jaccard_chance(), 0.25 / 0.75, 1e-15);
  EXPECT_TRUE(std::isnan(one.sign_agreement().value));
  EXPECT_TRUE(std::isnan(overlap(base, base, b).cosine().value));
  EXPECT_EQ(overlap(base, base, b).jaccard(), 0);
  EXPECT_TRUE(std::isnan(overlap(base, base, base).jaccard()));
}

// And as a loop over all entries has it.
TEST(Between, IndependentChangesAreWithinChance) {
  const Matrix base = gaussian(120, 90, 1);
  for (uint64_t seed = 10; seed < 30; ++seed) {
    const Matrix a = sum_of(base, 0.01, gaussian(120, 90, seed)), b = sum_of(base, 0.3, gaussian(120, 90, seed + 100));
    const ChangeOverlap one = overlap(base, a, b);
    EXPECT_LT(std::abs(one.cosine().z()), 4);
    EXPECT_LT(std::abs(one.sign_agreement().z()), 4);
    double product = 0, square_a = 0, square_b = 0;
    int64_t same = 0;
    for (int64_t i = 0; i < 120 * 90; ++i) {
      const double x = a.data()[i] - base.data()[i], y = b.data()[i] - base.data()[i];
      product += x * y;
      square_a += x * x;
      square_b += y * y;
      same += x * y > 0 ? 1 : 0;
    }
    EXPECT_NEAR(one.cosine().value, product / std::sqrt(square_a * square_b), 1e-12);
    EXPECT_EQ(one.same_sign, same);
  }
}

TEST(Between, PooledIsAsOfTheMatricesBesideEachOther) {
  const Matrix base = gaussian(24, 40, 1), a = sum_of(base, 0.1, gaussian(24, 40, 2)),
               b = sum_of(base, 0.2, gaussian(24, 40, 3));
  const auto part = [](const Matrix& x, int64_t from) {
    return Matrix::copy_of(x.view().block(0, from, 24, 20), Space::Host);
  };
  ChangeOverlap pooled;
  for (const int64_t from : {0, 20}) pooled.add(overlap(part(base, from), part(a, from), part(b, from)));
  const ChangeOverlap whole = overlap(base, a, b);
  EXPECT_NEAR(pooled.cosine().value, whole.cosine().value, 1e-14);
  EXPECT_EQ(pooled.same_sign, whole.same_sign);
  EXPECT_EQ(pooled.values, whole.values);
  EXPECT_NEAR(pooled.cosine().sd, whole.cosine().sd, 0.1 * whole.cosine().sd);
}

// Through the journal, the runner and result.json; of one post nothing.
TEST(Between, IsInTheResult) {
  const TempDir dir;
  for (uint64_t seed = 1; seed <= 3; ++seed) {
    TinyModel().write(dir / fmt::format("model{}", seed),
                      [&](int64_t layer, const std::string& name, int64_t d_in, int64_t d_out) {
                        return sum_of(gaussian_for(layer, name, d_in, d_out, 1), seed == 1 ? 0 : 0.1,
                                      gaussian_for(layer, name, d_in, d_out, seed));
                      });
  }
  DiffRequest request;
  request.base = (dir / "model1").string();
  request.posts = {(dir / "model2").string(), (dir / "model3").string()};
  request.controls = {"noise"};
  request.measures = {Measure::Interference};
  request.run.threads = 1;
  const DiffResult result = run_diff(request).result.value();
  ASSERT_EQ(result.posts.value().pairs.size(), 1U);
  const PostPair& pair = result.posts->pairs.front();
  EXPECT_EQ(pair.matrices.size(), 14U);
  EXPECT_EQ(pair.pooled, 14);
  EXPECT_EQ(pair.types.size(), 7U);
  EXPECT_LT(std::abs(pair.overlap.cosine().z()), 4);
  ASSERT_EQ(result.posts->interference.value().size(), 14U);
  for (const MatrixInterference& matrix : *result.posts->interference) {
    const Interference& one = matrix.interference;
    EXPECT_NEAR(one.singular_task / one.singular_task_null, 1, 0.2);
    EXPECT_NEAR(one.alignment[1], one.alignment_null[1], 0.05);
  }
  EXPECT_EQ(to_json(read_result("result", to_json(result))), to_json(result));
  const UnitResult unit{.rows = {},
                        .overlaps = {pair.overlap},
                        .interference = result.posts->interference->front().interference,
                        .arrays = {}};
  const std::vector<uint8_t> bytes = encode_unit(3, unit);
  const UnitResult read = decode_unit(std::as_bytes(std::span(bytes))).second;
  EXPECT_EQ(read.overlaps.at(0).product, pair.overlap.product);
  EXPECT_EQ(read.interference.value().alignment, unit.interference->alignment);
  request.posts.pop_back();
  request.measures.clear();
  EXPECT_FALSE(run_diff(request).result.value().posts);
}

Interference of(const std::vector<Matrix>& updates, uint64_t seed = 5) {
  return interference_of(
      updates.size(), [&](size_t t) { return updates[t].clone(); }, seed);
}

// Updates on other directions of both sides do not stand in each other's way; the same update does as much as it can.
TEST(Interference, IsNoneOfOrthogonalUpdates) {
  for (const bool wide : {false, true}) {
    const int64_t d_in = wide ? 20 : 32, d_out = wide ? 32 : 20;
    std::vector<Matrix> updates;
    for (int64_t t = 0; t < 2; ++t) {
      Matrix update = Matrix::zeros(d_in, d_out);
      for (int64_t j = 0; j < 10; ++j) update(10 * t + j, 10 * t + j) = static_cast<double>(10 * t + j + 1);
      updates.push_back(std::move(update));
    }
    const Interference one = of(updates);
    EXPECT_EQ(one.k, 10);
    EXPECT_NEAR(one.singular_task, 0, 1e-10);
    EXPECT_GT(one.singular_task_null, 1);
    EXPECT_NEAR(one.alignment[1], 1, 0.01);
  }
}

// XᵀX − I is then off-diagonal blocks of I: each σ is met twice, once in each of the two.
TEST(Interference, OfTheSameUpdateIsTwiceItsLeadingSingularValues) {
  std::vector<Matrix> updates;
  updates.push_back(gaussian(32, 20, 3));
  updates.push_back(updates.front().clone());
  const Interference one = of(updates);
  const std::vector<double> sigma = linalg::svd(updates.front().clone()).values;
  double leading = 0;
  for (size_t j = 0; j < 10; ++j) leading += sigma[j];
  EXPECT_NEAR(one.singular_task, 2 * leading, 1e-10);
  EXPECT_NEAR(one.alignment[0], one.alignment[1], 1e-14);
  EXPECT_GT(one.alignment[0], std::sqrt(1 - 0.05 * 0.05));  // as much as the rank leaves of the sum, which is twice it
}

// Gaussian updates do as their null does.
TEST(Interference, NoiseIsAsItsNull) {
  std::vector<Matrix> updates;
  for (uint64_t t = 0; t < 3; ++t) updates.push_back(gaussian(48, 60, t + 1));
  const Interference one = of(updates);
  EXPECT_EQ(one.k, 16);
  EXPECT_NEAR(one.singular_task / one.singular_task_null, 1, 0.1);
  for (size_t t = 0; t < 3; ++t) EXPECT_NEAR(one.alignment[t], one.alignment_null[t], 0.01);
}

TEST(Interference, OfNoUpdateIsUndefined) {
  std::vector<Matrix> updates;
  updates.push_back(gaussian(8, 6, 3));
  updates.push_back(Matrix::zeros(8, 6));
  EXPECT_TRUE(std::isnan(of(updates).singular_task));
  ASSERT_EQ(of(updates).alignment.size(), 2U);
  EXPECT_TRUE(std::isnan(of(updates).alignment[0]));
  std::vector<Matrix> many;
  for (uint64_t t = 0; t < 3; ++t) many.push_back(gaussian(2, 9, t + 1));
  EXPECT_EQ(of(many).k, 0);
  EXPECT_TRUE(std::isnan(of(many).singular_task));
}

}  // namespace
}  // namespace gyro
