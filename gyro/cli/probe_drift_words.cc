#include "gyro/cli/probe_drift_words.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace gyro {
namespace {

constexpr double kLevel = 0.05;

std::string figure(double value, int digits = 3) {
  return std::isnan(value) ? "–" : fmt::format("{:.{}f}", value, digits);
}

// To three digits, whatever its size.
std::string small_figure(double value) {
  return std::isnan(value) ? "–" : fmt::format("{:.3g}", value);
}

std::string with_error(double value, double error) {
  return std::isnan(error) ? small_figure(value) : fmt::format("{:.3g} ± {:.1g}", value, error);
}

std::vector<DriftVerdict> verdicts(const DriftReport& report) {
  std::vector<DriftVerdict> out;
  for (size_t i = 0; i < report.post.blocks.size(); ++i) {
    out.push_back(contrast(report.post.blocks[i], report.noise.blocks[i]).verdict);
  }
  return out;
}

// "0.213 (0.045 for noise)".
std::string beside_noise(const DriftReport& report, size_t block) {
  return fmt::format("{} ({} for noise)", small_figure(report.post.blocks[block].relative_difference),
                     small_figure(report.noise.blocks[block].relative_difference));
}

std::string where_they_part(const DriftReport& report) {
  const std::vector<DriftVerdict> all = verdicts(report);
  const auto count = [&](DriftVerdict verdict) { return std::ranges::count(all, verdict); };
  const auto size = static_cast<std::ptrdiff_t>(all.size());
  if (count(DriftVerdict::Undefined) == size) {
    return "Whether base and post part more than noise of the same size would have them is not defined here (two "
           "questions are the least).";
  }
  const size_t last = all.size() - 1;
  const auto first = std::ranges::find(all, DriftVerdict::More);
  if (first != all.end()) {
    const auto block = static_cast<size_t>(first - all.begin());
    return fmt::format(
        "From block {} base and post are farther apart than noise of the same norm puts them: relative difference {}; "
        "so "
        "in {} of {} blocks, and behind the last {}.",
        block, beside_noise(report, block), count(DriftVerdict::More), size, beside_noise(report, last));
  }
  const char* what = count(DriftVerdict::Less) == size ? "Every block drifts less than" : "No block drifts more than";
  return fmt::format("{} noise of the same norm in its place does; behind the last the relative difference is {}.",
                     what, beside_noise(report, last));
}

std::string what_comes_next(const DriftReport& report) {
  const DistributionDrift &post = report.post.next_token, &noise = report.noise.next_token;
  return fmt::format(
      "Next token: KL(post || base) {} nats ({} with noise for the post's change), the same likeliest token for {:.0f} "
      "% "
      "of questions ({:.0f} %).",
      with_error(post.kl_mean, post.kl_se), with_error(noise.kl_mean, noise.kl_se), 100 * post.top1_agreement,
      100 * noise.top1_agreement);
}

std::string whether_weights_say_where(const DriftReport& report) {
  const size_t blocks = report.post.blocks.size();
  if (blocks < kLeastRanked) {
    return fmt::format(
        "Whether blocks whose weights changed more drift more is not defined for {} blocks ({} are the least).", blocks,
        kLeastRanked);
  }
  const RankCorrelation ranks = weights_against_drift(report);
  if (std::isnan(ranks.rho)) {
    return "Whether blocks whose weights changed more drift more is not defined: not every block has both, or they do "
           "not differ.";
  }
  const char* says = ranks.p >= kLevel ? "which orders drawn at random give as well: no more is said"
                     : ranks.rho > 0   ? "so that blocks whose weights changed more do drift more"
                                       : "so that blocks whose weights changed more drift less";
  return fmt::format(
      "Rank correlation of the blocks' relative change of weights with the increase of relative difference across "
      "them: {:.2f} (p = {:.2g}), {}.",
      ranks.rho, ranks.p, says);
}

}  // namespace

const char* verdict_name(DriftVerdict verdict) {
  switch (verdict) {
    case DriftVerdict::More:
      return "more";
    case DriftVerdict::Less:
      return "less";
    case DriftVerdict::AsControl:
      return "as_noise";
    case DriftVerdict::Undefined:
      return "undefined";
  }
  return "";
}

std::vector<double> increases(const Drift& drift) {
  std::vector<double> out;
  double before = drift.embedding;
  for (const BlockDrift& block : drift.blocks) {
    out.push_back(block.relative_difference - before);
    before = block.relative_difference;
  }
  return out;
}

RankCorrelation weights_against_drift(const DriftReport& report) {
  if (report.post.blocks.size() < kLeastRanked) return {kUndefined, kUndefined};
  std::vector<double> changes;
  for (const BlockWeights& block : report.weights) changes.push_back(block.relative_change);
  return rank_correlation(changes, increases(report.post), 0);
}

Table drift_table(const DriftReport& report) {
  Table table{"Base and post on the same prompts, by block",
              {"cosine", "norms", "difference", "noise", "lens KL", "noise", "top 1", "ΔW", "NF/null"},
              {}};
  for (size_t i = 0; i < report.post.blocks.size(); ++i) {
    const BlockDrift &post = report.post.blocks[i], &noise = report.noise.blocks[i];
    const BlockWeights& weights = report.weights[i];
    table.rows.push_back({fmt::format("{}", i),
                          {figure(post.cosine_mean), figure(post.norm_ratio), small_figure(post.relative_difference),
                           small_figure(noise.relative_difference), small_figure(post.lens.kl_mean),
                           small_figure(noise.lens.kl_mean), figure(post.lens.top1_agreement, 2),
                           small_figure(weights.relative_change), small_figure(weights.nf_over_null)}});
  }
  return table;
}

std::vector<std::string> drift_sentences(const DriftReport& report) {
  return {where_they_part(report), what_comes_next(report), whether_weights_say_where(report)};
}

}  // namespace gyro
