#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace gyro {

/// A closed interval; both ends NaN where there is none.
struct Interval {
  double low, high;
};

/// Wilson's score interval of a share, at 95 %: `share` in [0, 1] of `n` > 0 trials, neither of which need be whole.
Interval wilson(double share, double n);

/// The exact two-sided p of McNemar's test, 2 P(X <= min(b, c)) for X binomial of b + c fair coins, 1 at most: `b`
/// questions were right in one model alone, `c` in the other alone. 1 for b = c = 0.
double mcnemar(int64_t b, int64_t c);

/// How one model's accuracy stands against another's over the same questions.
struct PairedDifference {
  double difference = 0;  ///< of the means, first minus second
  Interval interval{};    ///< 95 %
  double p = 1;           ///< two-sided, of no difference
  /// The smallest difference that such a test, adjusted for the number of comparisons, finds in four runs of five,
  /// given how much the questions' differences vary here. NaN where there are too few questions for any to be found.
  double detectable = 0;
  const char* test = "";  ///< "mcnemar" or "sign-flip"
};

/// Holds `a[i]` against `b[i]`: in how many of the `repeats` question i was answered right, by the one model and the
/// other. The test: were either as likely to be the better one at each question, how often would the sum of their
/// differences be as far from 0? Where all are 0 or `repeats` that is McNemar's exact test; otherwise it is counted,
/// over all signs where at most 16 questions differ, else over 100,000 draws of them. The interval is Agresti and
/// Min's, with one question added that is half in favour of either and one that is in favour of none; of shares as of
/// whole answers. `comparisons` is how many differences are looked at. Equal lengths above 0.
PairedDifference compare_paired(std::span<const int64_t> a, std::span<const int64_t> b, int64_t repeats,
                                int64_t comparisons, uint64_t seed);

/// An accuracy over questions, each the share of its repeats that were right.
struct Accuracy {
  double mean = 0;
  /// 95 %: Wilson's for the number of questions, or for as many independent ones as have the standard error that
  /// clustering by subject gives, if that is fewer. Repeats of a question add nothing to it.
  Interval interval{};
  int64_t clusters = 0;  ///< subjects, if they were counted with; else 0
};

/// `subjects`, if not empty, names each question's; they count from 10 subjects on.
Accuracy accuracy_of(std::span<const double> shares, std::span<const std::string> subjects);

/// Standard deviation of a sample (n - 1); NaN of fewer than two values.
double sample_deviation(std::span<const double> values);

/// Holm's adjustment of p values for their number, in their order.
std::vector<double> holm(std::span<const double> p);

/// Spearman's ρ: the correlation of ranks, equal values sharing the mean of theirs; NaN where a side has fewer than two
/// different values or one that is NaN. `p` (two-sided): how often |ρ| is as large when one side is in any order, of
/// 100,000 drawn.
struct RankCorrelation {
  double rho = 0, p = 1;
};
RankCorrelation rank_correlation(std::span<const double> a, std::span<const double> b, uint64_t seed);

}  // namespace gyro
