#include "gyro/edit/adapter.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>

#include "gyro/spectra/test_util.h"

namespace gyro {
namespace {

const std::pair<int64_t, int64_t> kShapes[] = {{8, 8}, {20, 8}, {8, 20}};

/// The paper's form of scaling · B A, d_in x d_out.
Matrix product_of(const LoraPair& pair) {
  Matrix out = Matrix::zeros(pair.d_in, pair.d_out);
  for (int64_t o = 0; o < pair.d_out; ++o) {
    for (int64_t i = 0; i < pair.d_in; ++i) {
      for (int64_t j = 0; j < pair.rank; ++j) {
        out(i, o) += pair.scaling * pair.lora_b[static_cast<size_t>(o * pair.rank + j)] *
                     pair.lora_a[static_cast<size_t>(j * pair.d_in + i)];
      }
    }
  }
  return out;
}

double distance(const Matrix& a, const Matrix& b) {
  return frobenius(combined(1, a, -1, b));
}

TEST(ComponentBand, HoldsItsComponents) {
  for (const auto& [d_in, d_out] : kShapes) {
    const std::vector<double> sigma = linear_spectrum(8, 8, 1);
    const Matrix u = orthonormal(d_in, 8, 1), v = orthonormal(d_out, 8, 2), w = compose(u, sigma, v);
    const Weight weight = weight_of(w);
    const Factors f = factorize(weight);
    for (const auto& [first, rank] : {std::pair{0, 3}, {2, 4}, {7, 1}, {0, 8}}) {
      std::vector<double> band(8, 0.0);
      for (int j = first; j < first + rank; ++j) band[static_cast<size_t>(j)] = sigma[static_cast<size_t>(j)];
      for (const double scaling : {1.0, 2.0, 0.125}) {
        const LoraPair pair = component_band(f, first, rank, scaling);
        EXPECT_EQ(pair.rank, rank);
        EXPECT_LT(distance(product_of(pair), compose(u, band, v)), 1e-10);
      }
    }
  }
}

/// PiSSA: A and B share each component equally.
TEST(ComponentBand, SplitIsEven) {
  const Matrix w = with_spectrum(15, 9, linear_spectrum(9, 5, 1), 3);
  const Weight weight = weight_of(w);
  const LoraPair pair = component_band(factorize(weight), 1, 4, 4.0);
  for (int64_t j = 0; j < 4; ++j) {
    double a = 0, b = 0;
    for (int64_t i = 0; i < pair.d_in; ++i) a += std::pow(pair.lora_a[static_cast<size_t>(j * pair.d_in + i)], 2);
    for (int64_t i = 0; i < pair.d_out; ++i) b += std::pow(pair.lora_b[static_cast<size_t>(i * 4 + j)], 2);
    const double sigma = 5 - 0.5 * static_cast<double>(1 + j);
    EXPECT_NEAR(a, sigma / 4, 1e-12);
    EXPECT_NEAR(b, sigma / 4, 1e-12);
  }
}

TEST(Residual, AndAdapterAreTheWeight) {
  for (const auto& [d_in, d_out] : kShapes) {
    const Matrix w = with_spectrum(d_in, d_out, geometric_spectrum(8, 50), 4);
    const Weight weight = weight_of(w);
    const LoraPair pair = component_band(factorize(weight), 2, 3, 0.5);
    const Matrix rest = residual(weight, pair);
    EXPECT_LT(distance(combined(1, rest, 1, product_of(pair)), w), 1e-13);
    EXPECT_LT(distance(rest, w), frobenius(product_of(pair)) * (1 + 1e-12));
  }
}

TEST(LowRankChange, IsTheBestOfItsRank) {
  const std::vector<double> sigma = {5, 3, 2, 1, 0.5, 0.25};
  for (const auto& [d_in, d_out] : kShapes) {
    const Matrix base = gaussian(d_in, d_out, 5), change = with_spectrum(d_in, d_out, sigma, 6);
    const Matrix post = combined(1, base, 1, change);
    const Weight base_weight = weight_of(base), post_weight = weight_of(post);
    for (int64_t rank = 1; rank <= 6; ++rank) {
      const LowRankChange found = low_rank_change(base_weight, post_weight, rank, 2.0);
      double tail = 0;
      for (size_t j = static_cast<size_t>(rank); j < sigma.size(); ++j) tail += sigma[j] * sigma[j];
      EXPECT_NEAR(found.error, std::sqrt(tail), 1e-7);  // Eckart-Young
      EXPECT_NEAR(found.change, frobenius(change), 1e-12);
      EXPECT_NEAR(distance(product_of(found.pair), change), found.error, 1e-12);
      for (size_t j = 0; j < sigma.size(); ++j) EXPECT_NEAR(found.sigma[j], sigma[j], 1e-10);
    }
  }
}

TEST(LowRankChange, RanksOfShares) {
  const Matrix base = gaussian(10, 6, 7), change = with_spectrum(10, 6, {3, 2, 1, 1, 0.5, 0.1}, 8);
  const Matrix post = combined(1, base, 1, change);
  const Weight base_weight = weight_of(base), post_weight = weight_of(post);
  const LowRankChange found = low_rank_change(base_weight, post_weight, 1, 1);
  // Squares 9, 4, 1, 1, 0.25, 0.01 of 15.26.
  EXPECT_EQ(found.rank_for(0.5), 1);
  EXPECT_EQ(found.rank_for(0.6), 2);
  EXPECT_EQ(found.rank_for(0.9), 3);
  EXPECT_EQ(found.rank_for(0.99), 5);
  EXPECT_EQ(found.rank_for(1 - 1e-4), 6);
  EXPECT_EQ(found.rank_for(0), 0);
}

TEST(LowRankChange, NoChange) {
  const Matrix base = gaussian(7, 9, 9);
  const Weight weight = weight_of(base);
  const LowRankChange found = low_rank_change(weight, weight, 4, 1);
  EXPECT_EQ(found.change, 0);
  EXPECT_EQ(found.error, 0);
  EXPECT_EQ(found.rank_for(0.99), 0);
  for (const double value : found.pair.lora_a) EXPECT_TRUE(std::isfinite(value));
  for (const double value : found.pair.lora_b) EXPECT_TRUE(std::isfinite(value));
}

TEST(LowRankChange, FullRankIsExact) {
  const Matrix base = gaussian(16, 11, 10), post = gaussian(16, 11, 11);
  const Weight base_weight = weight_of(base), post_weight = weight_of(post);
  const LowRankChange found = low_rank_change(base_weight, post_weight, 11, 1);
  EXPECT_LT(found.error, 1e-12 * found.change);
  EXPECT_LT(distance(combined(1, base, 1, product_of(found.pair)), post), 1e-12 * found.change);
}

TEST(LowRankChange, NamesWhatIsNotFinite) {
  const Matrix base = gaussian(5, 5, 12);
  Matrix post = base.clone();
  post(2, 3) = std::numeric_limits<double>::quiet_NaN();
  const Weight base_weight = weight_of(base, "base.weight"), post_weight = weight_of(post, "post.weight");
  const std::string error = error_of([&] { low_rank_change(base_weight, post_weight, 2, 1); });
  EXPECT_TRUE(contains(error, "post.weight") && contains(error, "1 NaN")) << error;
}

TEST(WidestTurn, FindsTheWindow) {
  const std::vector<double> turn = {0, 1, 0, 0, 2, 2, 0, 3, 0};
  EXPECT_EQ(widest_turn(turn, 1), 7);
  EXPECT_EQ(widest_turn(turn, 2), 4);
  EXPECT_EQ(widest_turn(turn, 4), 4);
  EXPECT_EQ(widest_turn(turn, 9), 0);
  EXPECT_EQ(widest_turn(std::vector<double>(5, 1.0), 2), 0);  // the first of equal ones
}

}  // namespace
}  // namespace gyro
