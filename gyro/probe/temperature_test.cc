#include "gyro/probe/temperature.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace gyro {
namespace {

using Doubles = std::vector<double>;

Doubles softmax(const Doubles& logits, double temperature) {
  Doubles out;
  double sum = 0;
  for (const double logit : logits) sum += out.emplace_back(std::exp(logit / temperature));
  for (double& p : out) p /= sum;
  return out;
}

Doubles normal(size_t count, double deviation, std::mt19937_64& random) {
  std::normal_distribution<double> draw(0, deviation);
  Doubles out(count);
  for (double& value : out) value = draw(random);
  return out;
}

// Rows of heads 0 ... whose p is q at a temperature, plus noise in the logits.
std::vector<TemperatureRow> rows_of(double temperature, double noise, size_t count, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<TemperatureRow> rows;
  for (size_t i = 0; i < count; ++i) {
    const Doubles logits = normal(60, 2, random), off = normal(60, noise, random);
    Doubles moved = logits;
    for (size_t j = 0; j < moved.size(); ++j) moved[j] = logits[j] / temperature + off[j];
    rows.push_back({logits, softmax(moved, 1), static_cast<int64_t>(i)});
  }
  return rows;
}

double plain_kl(const Doubles& p, const Doubles& q) {
  double sum = 0;
  for (size_t i = 0; i < p.size(); ++i) sum += p[i] > 0 ? p[i] * std::log(p[i] / q[i]) : 0;
  return sum;
}

TEST(Temperature, IsRecovered) {
  for (const double temperature : {0.05, 0.5, 0.98, 1.0, 1.03, 4.0, 60.0}) {
    const TemperatureFit fit = fit_temperature(rows_of(temperature, 0, 8, 1));
    EXPECT_NEAR(fit.temperature / temperature, 1, 1e-8);
    EXPECT_LT(fit.kl_fitted, 1e-12);
    EXPECT_LT(fit.temperature_se, 1e-6 * temperature);
    if (temperature == 1.0) {
      EXPECT_TRUE(std::isnan(fit.explained)) << "there is nothing to explain";
    } else {
      EXPECT_NEAR(fit.explained, 1, 1e-8);
    }
    EXPECT_EQ(fit.underflows, 0);
  }
}

// Only differences of log q matter.
TEST(Temperature, ConstantsDoNotMatter) {
  std::vector<TemperatureRow> rows = rows_of(1.3, 0.1, 5, 2);
  const TemperatureFit before = fit_temperature(rows);
  for (TemperatureRow& row : rows) {
    for (double& log_q : row.log_q) log_q += 7.5 + 3 * static_cast<double>(row.head);
  }
  const TemperatureFit after = fit_temperature(rows);
  EXPECT_NEAR(after.temperature, before.temperature, 1e-10);
  EXPECT_NEAR(after.kl, before.kl, 1e-12);
  EXPECT_NEAR(after.explained, before.explained, 1e-10);
}

TEST(Temperature, LossIsItsDefinitionAndItsDerivatives) {
  const std::vector<TemperatureRow> rows = rows_of(0.8, 0.3, 6, 3);
  for (const double beta : {0.2, 1.0, 1.7}) {
    double expected = 0;
    for (const TemperatureRow& row : rows) expected += plain_kl(row.p, softmax(row.log_q, 1 / beta)) / 6;
    const TemperatureLoss loss = temperature_loss(rows, beta);
    EXPECT_NEAR(loss.value, expected, 1e-12);
    constexpr double kStep = 1e-4;
    const TemperatureLoss up = temperature_loss(rows, beta + kStep), down = temperature_loss(rows, beta - kStep);
    EXPECT_NEAR(loss.slope, (up.value - down.value) / (2 * kStep), 1e-7);
    EXPECT_NEAR(loss.curvature, (up.slope - down.slope) / (2 * kStep), 1e-7);
    EXPECT_GT(loss.curvature, 0);
  }
}

// No temperature near the fitted one, on a grid, has a smaller loss.
TEST(Temperature, IsTheLeast) {
  const std::vector<TemperatureRow> rows = rows_of(1.2, 0.5, 6, 4);
  const TemperatureFit fit = fit_temperature(rows);
  for (int i = 30; i < 400; ++i) EXPECT_GE(temperature_loss(rows, 100.0 / i).value, fit.kl_fitted - 1e-14);
  EXPECT_NEAR(temperature_loss(rows, 1 / fit.temperature).slope, 0, 1e-13);
  EXPECT_NEAR(fit.explained, 1 - fit.kl_fitted / fit.kl, 1e-14);
  EXPECT_TRUE(std::isnan(fit.kl_expected));
  EXPECT_EQ(fit_temperature(rows, 1.5).kl_expected, temperature_loss(rows, 1 / 1.5).value);
  EXPECT_NEAR(fit_temperature(rows, fit.temperature).kl_expected, fit.kl_fitted, 1e-14);
}

// The flatter p is, the higher the temperature that makes q like it.
TEST(Temperature, RisesWithFlatness) {
  double before = 0;
  for (const double temperature : {0.6, 0.9, 1.0, 1.1, 2.0}) {
    const double fitted = fit_temperature(rows_of(temperature, 0.2, 6, 5)).temperature;
    EXPECT_GT(fitted, before);
    before = fitted;
  }
}

TEST(Temperature, ExplainsNothingOfNoise) {
  const TemperatureFit fit = fit_temperature(rows_of(1, 0.05, 400, 6));
  EXPECT_LT(fit.explained, 0.01);
  EXPECT_NEAR(fit.temperature, 1, 4 * fit.temperature_se);
  EXPECT_GT(fit.kl, 1e-4);
}

// The error is how far fits of other draws are apart.
TEST(Temperature, StandardErrorIsThatOfDraws) {
  double sum = 0, square = 0, stated = 0;
  constexpr int kDraws = 200;
  for (int i = 0; i < kDraws; ++i) {
    const TemperatureFit fit = fit_temperature(rows_of(1.1, 0.1, 12, 100 + static_cast<uint64_t>(i)));
    sum += fit.temperature / kDraws;
    square += fit.temperature * fit.temperature / kDraws;
    stated += fit.temperature_se / kDraws;
  }
  EXPECT_NEAR(stated / std::sqrt(square - sum * sum), 1, 0.2);
}

// A head's rows over questions are one draw, not several.
TEST(Temperature, StandardErrorIsOverHeads) {
  std::vector<TemperatureRow> rows = rows_of(1.1, 0.1, 12, 7), twice = rows;
  twice.insert(twice.end(), rows.begin(), rows.end());
  EXPECT_NEAR(fit_temperature(twice).temperature_se / fit_temperature(rows).temperature_se, 1, 1e-6);
  EXPECT_TRUE(std::isnan(fit_temperature(std::span(rows).first(1)).temperature_se));
}

TEST(Temperature, WhereNoneIsLeastIsUndefined) {
  const Doubles logits = {0, 1, 2, 3};
  const std::vector<TemperatureRow> against = {{logits, softmax(logits, -1), 0}}, certain = {{logits, {0, 0, 0, 1}, 0}},
                                    flat = {{{1, 1, 1}, {0.2, 0.3, 0.5}, 0}};
  for (const auto& rows : {against, certain, flat}) {
    const TemperatureFit fit = fit_temperature(rows);
    EXPECT_TRUE(std::isnan(fit.temperature));
    EXPECT_TRUE(std::isnan(fit.explained));
    EXPECT_GT(fit.kl, 0.01);
  }
}

TEST(Temperature, RowsOfFloats) {
  const std::vector<float> q = {0.5F, 0, 0.25F, 0.25F}, p = {0.25F, 0.25F, 0, 0.5000001F};
  const TemperatureRow row = temperature_row(q, p, 3);
  EXPECT_EQ(row.head, 3);
  EXPECT_NEAR(row.p[0] + row.p[1] + row.p[3], 1, 1e-15);
  EXPECT_NEAR(row.log_q[0], std::log(0.5), 1e-15);
  EXPECT_EQ(row.log_q[1], kLeastLog);
  EXPECT_NEAR(kLeastLog, std::log(1.17549435e-38), 1e-8);
  const TemperatureFit fit = fit_temperature(std::span(&row, 1));
  EXPECT_EQ(fit.underflows, 1);
  EXPECT_TRUE(std::isfinite(fit.kl));
  // The same distribution: no difference, and none is made up by its F32 sum.
  const TemperatureRow same = temperature_row(p, p, 0);
  EXPECT_LT(fit_temperature(std::span(&same, 1)).kl, 1e-15);
}

// Keys that are not seen, and other blocks, are left out; each head has its fit.
TEST(Temperature, BlocksOfRows) {
  std::mt19937_64 random(8);
  std::vector<LastRows> q, p;
  std::vector<int64_t> keys = {20, 12};
  for (const int64_t seen : keys) {
    LastRows a{{0, 4}, 2, 20, std::vector<float>(80)}, b = a;
    for (size_t head = 0; head < 2; ++head) {
      const Doubles logits = normal(static_cast<size_t>(seen), 1, random);
      const Doubles of_q = softmax(logits, 1), of_p = softmax(logits, head == 0 ? 1.25 : 0.8);
      for (size_t i = 0; i < of_q.size(); ++i) {
        const size_t at = (2 + head) * 20 + static_cast<size_t>(20 - seen) + i;
        a.values[at] = static_cast<float>(of_q[i]);
        b.values[at] = static_cast<float>(of_p[i]);
      }
    }
    q.push_back(a);
    p.push_back(b);
  }
  const BlockFit fit = fit_block(q, p, keys, 1);
  ASSERT_EQ(fit.heads.size(), 2U);
  EXPECT_NEAR(fit.heads[0].temperature, 1.25, 1e-5);
  EXPECT_NEAR(fit.heads[1].temperature, 0.8, 1e-5);
  EXPECT_GT(fit.heads[0].explained, 0.999);
  EXPECT_LT(fit.all.explained, 0.8);
  EXPECT_GT(fit.all.temperature, 0.8);
  EXPECT_LT(fit.all.temperature, 1.25);
  EXPECT_EQ(fit.all.underflows, 0);
}

}  // namespace
}  // namespace gyro
