#include "gyro/eval/statistics.h"

#include <gtest/gtest.h>

#include <cmath>

#include "gyro/base/random.h"

namespace gyro {
namespace {

TEST(Wilson, IsThatOfTheLiterature) {
  // Newcombe (1998), Table I: 81 of 263, 15 of 148, 0 of 20, 1 of 29.
  const auto near = [](Interval found, double low, double high) {
    EXPECT_NEAR(found.low, low, 5e-5);
    EXPECT_NEAR(found.high, high, 5e-5);
  };
  near(wilson(81.0 / 263, 263), 0.2553, 0.3662);
  near(wilson(15.0 / 148, 148), 0.0624, 0.1605);
  near(wilson(0, 20), 0, 0.1611);
  near(wilson(1.0 / 29, 29), 0.0061, 0.1718);
  near(wilson(1, 20), 1 - 0.1611, 1);
}

TEST(McNemar, IsABinomialTail) {
  EXPECT_EQ(mcnemar(0, 0), 1);
  EXPECT_EQ(mcnemar(3, 3), 1);
  for (int64_t b = 0; b < 60; ++b) EXPECT_EQ(mcnemar(b, b + 1), 1);
  EXPECT_NEAR(mcnemar(0, 5), 0.0625, 1e-12);
  EXPECT_NEAR(mcnemar(6, 0), 0.03125, 1e-12);
  EXPECT_NEAR(mcnemar(2, 10), 2 * (1 + 12 + 66) / 4096.0, 1e-12);
  EXPECT_NEAR(mcnemar(0, 1000), std::pow(2.0, -999), 1e-305);
}

using Counts = std::vector<int64_t>;

TEST(ComparePaired, CountsQuestionsThatPartTheTwo) {
  const Counts a(100, 1);
  Counts b = a;
  for (size_t i = 0; i < 8; ++i) b[i] = 0;
  const PairedDifference found = compare_paired(a, b, 1, 1, 1);
  EXPECT_STREQ(found.test, "mcnemar");
  EXPECT_NEAR(found.difference, 0.08, 1e-12);
  EXPECT_NEAR(found.p, 2 * std::pow(0.5, 8), 1e-12);
  EXPECT_GT(found.interval.low, 0);
  EXPECT_LT(found.interval.low, 0.08);
  EXPECT_GT(found.interval.high, 0.08);
  const PairedDifference same = compare_paired(a, a, 1, 1, 1);
  EXPECT_EQ(same.p, 1);
  EXPECT_LT(same.interval.low, 0);
  EXPECT_GT(same.interval.high, 0);
}

// Answers counted thrice are the same answers: one test, McNemar's.
TEST(ComparePaired, SignFlipsOfWholeAnswersAreMcNemars) {
  for (const int only_b : {0, 1, 3, 30}) {
    Counts a(90, 2), b(90, 2);
    a[0] = b[0] = 1;  // which makes it no case for McNemar
    for (int i = 1; i <= 7; ++i) b[static_cast<size_t>(i)] = 0;
    for (int i = 0; i < only_b; ++i) a[static_cast<size_t>(20 + i)] = 0;
    const PairedDifference found = compare_paired(a, b, 2, 1, 3);
    EXPECT_STREQ(found.test, "sign-flip");
    EXPECT_NEAR(found.p, mcnemar(7, only_b), only_b < 30 ? 1e-12 : 0.01);
  }
}

TEST(ComparePaired, FewQuestionsProveNothing) {
  EXPECT_EQ(compare_paired(Counts{3}, Counts{2}, 3, 1, 1).p, 1) << "one question, of either sign";
  EXPECT_EQ(compare_paired(Counts{3, 3}, Counts{2, 1}, 3, 1, 1).p, 0.5);
  EXPECT_EQ(compare_paired(Counts{3, 0}, Counts{2, 1}, 3, 1, 1).p, 1) << "a tie";
  EXPECT_EQ(compare_paired(Counts{3, 0}, Counts{2, 1}, 3, 1, 1).difference, 0);
  Counts a(100, 3), b(100, 3);
  for (size_t i = 0; i < 4; ++i) b[i] = 2;
  EXPECT_NEAR(compare_paired(a, b, 3, 1, 1).p, 0.125, 1e-12) << "four of a hundred, all one way";
  EXPECT_TRUE(std::isnan(compare_paired(Counts(5, 1), Counts(5, 0), 1, 1, 1).detectable));
  EXPECT_TRUE(std::isnan(compare_paired(Counts(8, 1), Counts(8, 0), 1, 26, 1).detectable));
}

// Models that are alike differ in at most one run of twenty.
TEST(ComparePaired, FindsADifferenceThatIsNoneInAFewRunsOfAHundred) {
  Random random(3);
  int found = 0, outside = 0;
  const int runs = 200;
  for (int run = 0; run < runs; ++run) {
    Counts a(60), b(60);
    for (size_t i = 0; i < a.size(); ++i) {
      const double hard = random.uniform();
      for (auto* counts : {&a, &b}) {
        for (int repeat = 0; repeat < 3; ++repeat) (*counts)[i] += random.uniform() < hard;
      }
    }
    const PairedDifference difference = compare_paired(a, b, 3, 1, static_cast<uint64_t>(run));
    found += difference.p < 0.05;
    outside += difference.interval.low > 0 || difference.interval.high < 0;
  }
  EXPECT_LT(found, 20) << "5 % and three deviations";
  EXPECT_GT(found, 1);
  EXPECT_NEAR(found, outside, 5);
}

TEST(ComparePaired, TheDetectableDifferenceIsFoundInFourRunsOfFive) {
  // Questions that part the two all point one way: in the share that is called detectable.
  const double floor = compare_paired(Counts(100, 1), Counts(100, 1), 1, 1, 1).detectable;
  EXPECT_NEAR(floor, 0.0779111, 1e-6);
  Random random(5);
  int found = 0;
  const int runs = 1000;
  for (int run = 0; run < runs; ++run) {
    const Counts a(100, 1);
    Counts b(100, 1);
    for (int64_t& right : b) right = random.uniform() >= floor;
    found += compare_paired(a, b, 1, 1, 1).p < 0.05;
  }
  EXPECT_NEAR(found, 800, 45);
  // Adjusted for 26 comparisons: eleven questions of one way are needed.
  EXPECT_NEAR(compare_paired(Counts(100, 1), Counts(100, 1), 1, 26, 1).detectable, 0.1339931, 1e-6);
}

TEST(ComparePaired, DetectableFollowsHowMuchQuestionsVary) {
  Random random(5);
  // 400 questions; a is better in 12 % of them, b in 5 %.
  double detectable = 0;
  int found = 0;
  const int runs = 300;
  for (int run = 0; run < runs; ++run) {
    Counts a(400), b(400);
    for (size_t i = 0; i < a.size(); ++i) {
      const double u = random.uniform();
      a[i] = u < 0.12 || u > 0.5;
      b[i] = (u >= 0.12 && u < 0.17) || u > 0.5;
    }
    const PairedDifference difference = compare_paired(a, b, 1, 1, 1);
    detectable += difference.detectable / runs;
    found += difference.p < 0.05;
  }
  // The true difference is 0.07; what would be found in 80 % of runs is 0.057.
  EXPECT_NEAR(detectable, 0.057, 0.004);
  EXPECT_GT(found, runs * 0.85);
}

TEST(AccuracyOf, ClustersWidenTheInterval) {
  std::vector<double> shares;
  std::vector<std::string> subjects;
  for (int subject = 0; subject < 20; ++subject) {
    for (int i = 0; i < 10; ++i) {
      shares.push_back(subject % 2);
      subjects.push_back(std::to_string(subject));
    }
  }
  const Accuracy alone = accuracy_of(shares, {}), clustered = accuracy_of(shares, subjects);
  EXPECT_EQ(alone.mean, 0.5);
  EXPECT_EQ(alone.clusters, 0);
  EXPECT_EQ(clustered.clusters, 20);
  const Interval twenty = wilson(0.5, 19);  // as twenty questions: one degree of freedom is the mean's
  EXPECT_NEAR(clustered.interval.low, twenty.low, 1e-9);
  EXPECT_NEAR(clustered.interval.high, twenty.high, 1e-9);
  for (size_t i = 0; i < subjects.size(); ++i) subjects[i] = std::to_string(i % 5);
  EXPECT_EQ(accuracy_of(shares, subjects).clusters, 0) << "five subjects tell no variance";
}

// Of questions of one share of right answers, nineteen intervals of twenty hold it.
TEST(AccuracyOf, IntervalsCover) {
  Random random(11);
  int covered = 0;
  const int runs = 2000;
  for (int run = 0; run < runs; ++run) {
    std::vector<double> shares(50);
    for (double& share : shares) share = random.uniform() < 0.9;
    const Interval found = accuracy_of(shares, {}).interval;
    covered += found.low <= 0.9 && 0.9 <= found.high;
  }
  EXPECT_GT(covered, runs * 0.93);
  EXPECT_LT(covered, runs * 0.99);
}

TEST(Holm, StepsDown) {
  const std::vector<double> adjusted = holm(std::vector<double>{0.01, 0.04, 0.03, 0.005});
  const std::vector<double> expected = {0.03, 0.06, 0.06, 0.02};
  for (size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(adjusted[i], expected[i], 1e-12);
  EXPECT_EQ(holm(std::vector<double>{0.9, 0.8})[0], 1);
  EXPECT_TRUE(holm({}).empty());
}

TEST(SampleDeviation, OfOneValueIsNone) {
  EXPECT_TRUE(std::isnan(sample_deviation(std::vector<double>{3})));
  EXPECT_NEAR(sample_deviation(std::vector<double>{1, 2, 3}), 1, 1e-12);
}

TEST(RankCorrelation, IsThatOfRanks) {
  const std::vector<double> a = {1, 2, 3, 4}, b = {10, 30, 20, 400};
  // 1 − 6 Σd²/(n(n² − 1)) with d = 0, 1, 1, 0; of the 24 orders of four, ρ = ±0.8 or beyond has 8.
  const RankCorrelation of = rank_correlation(a, b, 0);
  EXPECT_NEAR(of.rho, 0.8, 1e-12);
  EXPECT_NEAR(of.p, 8.0 / 24, 0.01);
  const std::vector<double> down = {4, 3, 2, 1}, ties = {1, 1, 2, 2};
  EXPECT_NEAR(rank_correlation(a, down, 0).rho, -1, 1e-12);
  EXPECT_NEAR(rank_correlation(a, down, 0).p, 2.0 / 24, 0.01);
  EXPECT_NEAR(rank_correlation(a, ties, 0).rho, 2 / std::sqrt(5.0), 1e-12);  // by hand: 4 / √(5 · 4)
}

TEST(RankCorrelation, IsUndefinedWhereNothingVariesOrIsNone) {
  const std::vector<double> a = {1, 2, 3}, same = {5, 5, 5}, none = {1, std::nan(""), 2};
  EXPECT_TRUE(std::isnan(rank_correlation(a, same, 0).rho));
  EXPECT_TRUE(std::isnan(rank_correlation(none, a, 0).rho));
  EXPECT_TRUE(std::isnan(rank_correlation({}, {}, 0).p));
}

}  // namespace
}  // namespace gyro
