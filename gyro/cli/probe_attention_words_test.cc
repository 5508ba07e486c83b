// What the probe says follows from its numbers: probes made up on either side of each verdict.

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <cmath>

#include "gyro/base/test_util.h"
#include "gyro/cli/probe_attention.h"

namespace gyro {
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

TemperatureFit fit_of(double temperature, double kl, double explained) {
  TemperatureFit fit;
  fit.temperature = temperature;
  fit.temperature_se = 0.01;
  fit.kl = kl;
  fit.kl_fitted = kl * (1 - explained);
  fit.explained = explained;
  return fit;
}

// A subject of two blocks of `heads` heads; each head is explained as its block is, every third a little less.
AttentionSubject subject_of(const std::string& name, const std::string& kind, double entropy, double explained,
                            size_t heads = 12) {
  AttentionSubject out;
  out.subject = {name, "", kind};
  out.layers = 2;
  out.heads = static_cast<int64_t>(heads);
  out.keys = {{100, 100}};
  out.entropies = {{{std::vector<double>(heads, entropy), entropy, entropy},
                    {std::vector<double>(heads, entropy), entropy, entropy}}};
  if (kind == "original") return out;
  for (int block = 0; block < 2; ++block) {
    BlockFit fit{fit_of(1.02, 0.1, explained), {}};
    for (size_t head = 0; head < heads; ++head) {
      fit.heads.push_back(fit_of(1.02, 0.1, explained - (head % 3 == 0 ? 0.01 : 0)));
    }
    out.fits.push_back(fit);
  }
  return out;
}

AttentionProbe probe_of(double explained, double of_noise, size_t heads = 12) {
  AttentionProbe probe;
  probe.blocks = {0, 1};
  probe.subjects = {subject_of("original", "original", 2, 0, heads),
                    subject_of("replace", "variant", 1.9, explained, heads),
                    subject_of("replace-noise", "control", 2.01, of_noise, heads)};
  probe.expected = {{0, 0.99, 0.99, 1.03, ""}, {1, 0.98, 0.98, 1.05, ""}};
  return probe;
}

std::string said(const AttentionProbe& probe) {
  return fmt::format("{}", fmt::join(attention_words(probe), "\n"));
}

TEST(AttentionWords, SayTheNumbers) {
  AttentionProbe probe = probe_of(0.5, 0.05);
  for (BlockFit& fit : probe.subjects[1].fits) fit.all.kl_expected = 0.06;
  const std::string text = said(probe);
  EXPECT_TRUE(contains(text, "2.00 (median; 2.00 to 2.00) nats over blocks, on average 43 % of the log")) << text;
  EXPECT_TRUE(contains(text,
                       "replace differs from it by 0.1000 nats on average over blocks, up or down (5.0 % of it); "
                       "replace-noise by 0.0100."))
      << text;
  EXPECT_TRUE(contains(text,
                       "T = 1.0200 (median; 1.0200 to 1.0200); 1/(α_Q α_K) is 1.0400 (median; 1.0300 to 1.0500). "
                       "The two are within two standard errors of T in 1 of 2 blocks."))
      << text;
  EXPECT_TRUE(contains(text,
                       "explains 50.0 % of how attention of replace differs (of the sum of KL), the expected one "
                       "40.0 %; 5.0 % of replace-noise."))
      << text;
  EXPECT_TRUE(contains(text,
                       "In 24 of 24 heads it explains more of replace than of replace-noise (sign test: p < 0.001): "
                       "it explains more of it than of that control."))
      << text;
}

TEST(AttentionWords, VerdictsOnEitherSide) {
  EXPECT_TRUE(contains(said(probe_of(0.16, 0.05)), ": it explains more of it than"));
  EXPECT_TRUE(contains(said(probe_of(0.14, 0.05)), ": it explains no more of it than")) << "too little of an effect";
  EXPECT_TRUE(contains(said(probe_of(0.05, 0.05)), ": it explains no more of it than"));
  EXPECT_TRUE(contains(said(probe_of(0.05, 0.4)), ": it explains less of it than"));
  EXPECT_TRUE(contains(said(probe_of(0.5, 0.05, 3)), ": heads do not agree enough to say that it explains more"));
  EXPECT_TRUE(contains(said(probe_of(0.05, 0.5, 3)), ": it explains no more of it than"));
}

TEST(AttentionWords, WhatIsUndefined) {
  AttentionProbe probe = probe_of(0.5, 0.05);
  probe.subjects[1].fits[1].all = {};
  EXPECT_TRUE(contains(said(probe), ", over the 1 of 2 blocks where it is defined)")) << said(probe);
  probe.subjects[1].fits[0].all = {};
  EXPECT_TRUE(contains(said(probe), "What a temperature explains of how replace differs is undefined"));
  EXPECT_TRUE(contains(said(probe), "T = undefined in all blocks"));
  for (const Table::Row& row : attention_table(probe).rows) {
    EXPECT_EQ(row.cells[3], "–");
    EXPECT_EQ(row.cells.size(), attention_table(probe).columns.size());
  }
  probe.expected[0].expected = probe.expected[1].expected = kNone;
  probe.expected[0].why = "norms divide";
  EXPECT_TRUE(contains(said(probe), "1/(α_Q α_K) is undefined in all blocks (norms divide)."));
}

// A model that is alone, and one that cannot be compared.
TEST(AttentionWords, WithoutComparisons) {
  AttentionProbe probe = probe_of(0.5, 0.05);
  probe.subjects.resize(1);
  EXPECT_EQ(attention_words(probe).size(), 1U);
  EXPECT_EQ(attention_table(probe).columns, std::vector<std::string>{"original"});
  AttentionSubject other = subject_of("other", "model", 1, 0);
  other.fits.clear();
  other.entropies[0].resize(1);
  other.why_not = "it has another number of layers";
  probe.subjects.push_back(other);
  EXPECT_TRUE(contains(said(probe), "other is not compared with the original: it has another number of layers."));
  const nlohmann::ordered_json json = attention_json({{"schema", "x"}}, probe);
  EXPECT_TRUE(json["subjects"][1]["entropy_mean"][0][1].is_null());
  EXPECT_EQ(json["subjects"][1]["entropy_mean"][0][0], 1);
  EXPECT_EQ(json["subjects"][1]["not_compared"], "it has another number of layers");
  EXPECT_TRUE(json["comparisons"].empty());
}

}  // namespace
}  // namespace gyro
