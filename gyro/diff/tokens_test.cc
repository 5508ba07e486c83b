#include "gyro/diff/tokens.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "gyro/base/random.h"
#include "gyro/diff/outside_words.h"
#include "gyro/spectra/test_util.h"

namespace gyro {
namespace {

// Rows of `values` values each, of these base norms, changed by these gaussian numbers (a column a row).
std::vector<ValueSums> rows_of(const std::vector<double>& norms, const Matrix& change) {
  std::vector<ValueSums> rows;
  for (size_t i = 0; i < norms.size(); ++i) {
    ValueSums row{.base = norms[i] * norms[i], .values = change.rows()};
    for (int64_t j = 0; j < change.rows(); ++j)
      row.change += change(j, static_cast<int64_t>(i)) * change(j, static_cast<int64_t>(i));
    rows.push_back(row);
  }
  return rows;
}

double square_of(const Matrix& x) {
  double sum = 0;
  for (int64_t i = 0; i < x.rows() * x.cols(); ++i) sum += x.data()[i] * x.data()[i];
  return sum;
}

// Against draws: the mean of the largest of 500 rows, whose norms differ, and of a row.
TEST(Tokens, ChanceIsWhatDrawsGive) {
  constexpr int64_t kRows = 500, kDraws = 200;
  for (const int64_t values : {8, 64}) {
    std::vector<double> norms;
    for (int64_t i = 0; i < kRows; ++i) norms.push_back(1 + static_cast<double>(i % 10) / 5);
    double mean = 0, square = 0, row_mean = 0;
    for (int64_t draw = 0; draw < kDraws; ++draw) {
      const Matrix change = gaussian(values, kRows, static_cast<uint64_t>(draw + 1));
      double largest = 0;
      for (size_t i = 0; i < norms.size(); ++i) {
        double sum = 0;
        for (int64_t j = 0; j < values; ++j) sum += std::pow(change(j, static_cast<int64_t>(i)), 2);
        largest = std::max(largest, std::sqrt(sum) / norms[i]);
        row_mean += std::sqrt(sum) / norms[i] / static_cast<double>(kRows * kDraws);
      }
      mean += largest / kDraws;
      square += largest * largest / kDraws;
    }
    const double error = std::sqrt((square - mean * mean) / kDraws);
    const double scale = std::sqrt(square_of(gaussian(values, kRows, 1)) / static_cast<double>(values * kRows));
    EXPECT_NEAR(expected_largest(norms, values, 1), mean, 4 * error + 0.002 * mean) << values;
    const TokenRows told = token_rows(OutsideKind::Head, rows_of(norms, gaussian(values, kRows, 1)));
    EXPECT_NEAR(told.even / scale, row_mean, 0.005 * row_mean);
    EXPECT_NEAR(told.largest / scale, expected_largest(norms, values, 1), 1e-9);
    EXPECT_LE(told.rows_beyond, 4);
    EXPECT_EQ(told.rows_unchanged, 0);
    EXPECT_EQ(told.most.size(), 20U);
  }
}

TEST(Tokens, ThoseThatChangedMostComeFirst) {
  std::vector<ValueSums> rows(100, ValueSums{.base = 4, .post = 4, .product = 4, .values = 16, .equal = 16});
  rows[7] = {.change = 1, .base = 4, .post = 4, .product = 3.5, .values = 16};
  rows[3] = {.change = 4, .base = 4, .post = 4, .product = 2, .values = 16};
  rows[90] = {.change = 1, .base = 0, .post = 1, .product = 0, .values = 16};  // from zero
  const TokenRows told = token_rows(OutsideKind::Embeddings, rows);
  EXPECT_EQ(told.rows, 100);
  EXPECT_EQ(told.rows_unchanged, 97);
  EXPECT_EQ(told.rows_beyond, 3);
  ASSERT_EQ(told.most.size(), 3U);
  EXPECT_EQ(told.most[0].id, 3);
  EXPECT_DOUBLE_EQ(told.most[0].relative_change, 1);
  EXPECT_DOUBLE_EQ(told.most[0].cosine, 0.5);
  EXPECT_EQ(told.most[1].id, 90);  // 1 over √(99·4/100), a little more than ½
  EXPECT_TRUE(std::isnan(told.most[1].relative_change));
  EXPECT_TRUE(std::isnan(told.most[1].cosine));
  EXPECT_DOUBLE_EQ(told.most[1].change, 1);
  EXPECT_EQ(told.most[2].id, 7);
  // s = √(6/1600), E χ_16 = √2 Γ(8.5)/Γ(8).
  EXPECT_NEAR(told.most[2].even, std::sqrt(6.0 / 1600) * std::sqrt(2) * std::tgamma(8.5) / std::tgamma(8) / 2, 1e-12);
}

// A row that became no number is one that changed, and tells nothing of the others.
TEST(Tokens, RowsOfNoNumbersAreCountedApart) {
  std::vector<ValueSums> rows(100, ValueSums{.base = 4, .post = 4, .product = 4, .values = 16, .equal = 16});
  rows[7] = {.change = 1, .base = 4, .post = 4, .product = 3.5, .values = 16};
  const double largest = token_rows(OutsideKind::Embeddings, rows).largest;
  rows[3] = {.change = std::nan(""), .base = 4, .post = std::nan(""), .product = std::nan(""), .values = 16};
  const TokenRows told = token_rows(OutsideKind::Embeddings, rows);
  EXPECT_EQ(told.rows_unchanged, 98);
  EXPECT_EQ(told.rows_undefined, 1);
  ASSERT_EQ(told.most.size(), 1U);
  EXPECT_EQ(told.most[0].id, 7);
  EXPECT_NEAR(told.largest, largest, 0.01 * largest);
  EXPECT_TRUE(token_words(told).starts_with(
      "Of 100 rows of the embeddings 2 changed (1 to what is no number, or from it), 1 of them by more than the "))
      << token_words(told);
}

TEST(Tokens, WordsOfTheSmallestChanges) {
  std::vector<ValueSums> rows(100, ValueSums{.base = 4, .post = 4, .product = 4, .values = 16, .equal = 16});
  rows[7] = {.change = 1e-16, .base = 4, .post = 4, .product = 4, .values = 16};
  EXPECT_EQ(token_words(token_rows(OutsideKind::Embeddings, rows)),
            "Of 100 rows of the embeddings 1 changed, by more than the largest has when the change is spread evenly, "
            "less than 0.0001 %: token 7 by less than 0.0001 %.");
}

TEST(Tokens, WhatDidNotChangeHasNoChance) {
  const std::vector<ValueSums> rows(5, ValueSums{.base = 1, .post = 1, .product = 1, .values = 2, .equal = 2});
  const TokenRows told = token_rows(OutsideKind::Embeddings, rows);
  EXPECT_EQ(told.rows_unchanged, 5);
  EXPECT_TRUE(told.most.empty());
  EXPECT_TRUE(std::isnan(told.largest));
  std::vector<ValueSums> zero(5, ValueSums{.change = 1, .post = 1, .values = 2});  // of a base that is zero
  EXPECT_TRUE(std::isnan(token_rows(OutsideKind::Head, zero).largest));
  EXPECT_EQ(token_rows(OutsideKind::Head, zero).most.size(), 5U);
}

}  // namespace
}  // namespace gyro
