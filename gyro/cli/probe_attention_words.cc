#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "gyro/cli/probe_attention.h"
#include "gyro/eval/statistics.h"

namespace gyro {
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
constexpr double kSignificant = 0.01;
constexpr double kExcess = 0.1;  // of the shares explained

std::string number(double value, int digits) {
  return std::isnan(value) ? "–" : fmt::format("{:.{}f}", value, digits);
}

std::string percent(double share) {
  return number(100 * share, 1);
}

double mean_of(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value / static_cast<double>(values.size());
  return values.empty() ? kNone : sum;
}

// The mean over questions of a block's entropy; NaN for one that the subject does not have.
double mean_entropy(const AttentionSubject& subject, size_t block) {
  std::vector<double> values;
  for (const std::vector<BlockEntropy>& question : subject.entropies) {
    if (block < question.size()) values.push_back(question[block].mean);
  }
  return mean_of(values);
}

// The share of the difference that a temperature for each block explains, over all blocks where there is one.
double pooled(const AttentionSubject& subject, double TemperatureFit::*left) {
  double kl = 0, rest = 0;
  for (const BlockFit& fit : subject.fits) {
    if (std::isnan(fit.all.explained) || std::isnan(fit.all.*left)) continue;
    kl += fit.all.kl;
    rest += fit.all.*left;
  }
  return kl > 0 ? 1 - rest / kl : kNone;
}

// What is looked at first: eq. 14, or else the first that is no control.
const AttentionSubject* lead_of(const AttentionProbe& probe) {
  const AttentionSubject* lead = nullptr;
  for (const AttentionSubject& subject : probe.subjects) {
    if (subject.fits.empty() || subject.subject.kind == "control") continue;
    if (lead == nullptr || subject.subject.name == "replace") lead = &subject;
  }
  return lead;
}

bool is_replace(const AttentionSubject& subject) {
  return subject.subject.name == "replace" && subject.subject.kind == "variant";
}

std::vector<const AttentionSubject*> compared_beside(const AttentionProbe& probe, const AttentionSubject* lead) {
  std::vector<const AttentionSubject*> out;
  for (const AttentionSubject& subject : probe.subjects) {
    if (!subject.fits.empty() && &subject != lead) out.push_back(&subject);
  }
  return out;
}

// How often a temperature explains more of one subject than of another, head by head of all blocks.
struct Heads {
  int64_t more = 0, of = 0;
  double p() const { return mcnemar(more, of - more); }
};

Heads count_heads(const AttentionSubject& a, const AttentionSubject& b) {
  Heads out;
  for (size_t block = 0; block < a.fits.size(); ++block) {
    for (size_t head = 0; head < a.fits[block].heads.size(); ++head) {
      const double x = a.fits[block].heads[head].explained, y = b.fits[block].heads[head].explained;
      if (std::isnan(x) || std::isnan(y) || x == y) continue;
      ++out.of;
      out.more += x > y ? 1 : 0;
    }
  }
  return out;
}

// Significance is cheap with many heads, which are not independent either: a verdict needs an effect, too.
std::string verdict(const Heads& heads, double explained, double of_control) {
  const double excess = explained - of_control;
  const bool significant = heads.p()<kSignificant, mostly = 2 * heads.more> heads.of;
  if (std::isnan(excess)) return "which it explains better is undefined";
  if (excess >= kExcess && significant && mostly) return "it explains more of it than of that control";
  if (excess >= kExcess) return "heads do not agree enough to say that it explains more of it";
  if (excess <= -kExcess && significant && !mostly) return "it explains less of it than of that control";
  return "it explains no more of it than of that control";
}

std::string p_text(double p) {
  return p < 0.001 ? "p < 0.001" : fmt::format("p = {:.2g}", p);
}

std::string range_text(std::vector<double> values, int digits) {
  std::erase_if(values, [](double value) { return std::isnan(value); });
  if (values.empty()) return "undefined in all blocks";
  std::ranges::sort(values);
  const double middle = (values[(values.size() - 1) / 2] + values[values.size() / 2]) / 2;
  return fmt::format("{:.{}f} (median; {:.{}f} to {:.{}f})", middle, digits, values.front(), digits, values.back(),
                     digits);
}

std::vector<double> by_block(const AttentionSubject& subject, double TemperatureFit::*value) {
  std::vector<double> out;
  for (const BlockFit& fit : subject.fits) out.push_back(fit.all.*value);
  return out;
}

std::string entropy_words(const AttentionProbe& probe) {
  std::vector<double> entropies, shares;
  for (size_t block = 0; block < probe.blocks.size(); ++block) {
    entropies.push_back(mean_entropy(probe.original(), block));
    for (size_t i = 0; i < probe.original().entropies.size(); ++i) {
      const auto keys = static_cast<double>(probe.original().keys[i][block]);
      if (keys > 1) shares.push_back(probe.original().entropies[i][block].mean / std::log(keys));
    }
  }
  return fmt::format("The original's entropy is {} nats over blocks, on average {} % of the log of the keys seen.",
                     range_text(entropies, 2), number(100 * mean_of(shares), 0));
}

double moved(const AttentionProbe& probe, const AttentionSubject& subject) {
  std::vector<double> out;
  for (size_t block = 0; block < probe.blocks.size(); ++block) {
    out.push_back(std::abs(entropy_difference(probe, subject, block)));
  }
  return mean_of(out);
}

// How far a construction moves entropy, and how far others do.
std::string moved_words(const AttentionProbe& probe, const AttentionSubject& lead) {
  std::vector<double> entropies;
  for (size_t block = 0; block < probe.blocks.size(); ++block) {
    entropies.push_back(mean_entropy(probe.original(), block));
  }
  const double of_lead = moved(probe, lead);
  std::string out = fmt::format("{} differs from it by {:.4f} nats on average over blocks, up or down ({} % of it)",
                                lead.subject.name, of_lead, percent(of_lead / mean_of(entropies)));
  const std::vector<const AttentionSubject*> others = compared_beside(probe, &lead);
  for (const AttentionSubject* other : others) {
    out +=
        fmt::format("{} {} by {:.4f}", other == others.front() ? ";" : ",", other->subject.name, moved(probe, *other));
  }
  return out + ".";
}

std::string temperature_words(const AttentionProbe& probe, const AttentionSubject& lead) {
  std::string out = fmt::format("Attention of {} is most like the original's at T = {}", lead.subject.name,
                                range_text(by_block(lead, &TemperatureFit::temperature), 4));
  if (!is_replace(lead) || probe.expected.empty()) return out + ".";
  std::vector<double> expected;
  int64_t within = 0, of = 0;
  std::string why;
  for (size_t i = 0; i < probe.expected.size(); ++i) {
    expected.push_back(probe.expected[i].expected);
    if (why.empty()) why = probe.expected[i].why;
    const TemperatureFit& fit = lead.fits[i].all;
    const double off = std::abs(fit.temperature - expected.back()) / fit.temperature_se;
    if (std::isnan(off)) continue;
    ++of;
    within += off <= 2 ? 1 : 0;
  }
  out += fmt::format("; 1/(α_Q α_K) is {}", range_text(expected, 4));
  if (of > 0) out += fmt::format(". The two are within two standard errors of T in {} of {} blocks", within, of);
  return out + (why.empty() ? "." : fmt::format(" ({}).", why));
}

std::string explained_words(const AttentionProbe& probe, const AttentionSubject& lead) {
  const double explained = pooled(lead, &TemperatureFit::kl_fitted);
  if (std::isnan(explained)) {
    return fmt::format(
        "What a temperature explains of how {} differs is undefined: attention is the same up to rounding, "
        "or no temperature is the best.",
        lead.subject.name);
  }
  const auto blocks = std::ssize(lead.fits);
  const auto defined =
      std::ranges::count_if(lead.fits, [](const BlockFit& fit) { return !std::isnan(fit.all.explained); });
  const std::string where =
      defined == blocks ? "" : fmt::format(", over the {} of {} blocks where it is defined", defined, blocks);
  std::string out =
      fmt::format("A temperature for each block explains {} % of how attention of {} differs (of the sum of KL{})",
                  percent(explained), lead.subject.name, where);
  const double expected = pooled(lead, &TemperatureFit::kl_expected);
  if (!std::isnan(expected)) out += fmt::format(", the expected one {} %", percent(expected));
  std::string verdicts;
  const std::vector<const AttentionSubject*> others = compared_beside(probe, &lead);
  for (const AttentionSubject* other : others) {
    const double of_other = pooled(*other, &TemperatureFit::kl_fitted);
    out += fmt::format("{} {} % of {}", other == others.front() ? ";" : ",", percent(of_other), other->subject.name);
    if (other->subject.kind != "control") continue;
    const Heads heads = count_heads(lead, *other);
    verdicts +=
        fmt::format(" In {} of {} heads it explains more of {} than of {} (sign test: {}): {}.", heads.more, heads.of,
                    lead.subject.name, other->subject.name, p_text(heads.p()), verdict(heads, explained, of_other));
  }
  return out + "." + verdicts;
}

}  // namespace

double entropy_difference(const AttentionProbe& probe, const AttentionSubject& subject, size_t block) {
  return mean_entropy(subject, block) - mean_entropy(probe.original(), block);
}

Table attention_table(const AttentionProbe& probe) {
  const AttentionSubject* lead = lead_of(probe);
  const bool expects = lead != nullptr && is_replace(*lead) && !probe.expected.empty();
  const std::vector<const AttentionSubject*> others = compared_beside(probe, lead);
  const size_t questions = probe.original().entropies.size();
  Table table{fmt::format("Entropy of the last token's attention in nats, mean over heads{}",
                          questions > 1 ? fmt::format(" and {} questions", questions) : ""),
              {},
              {}};
  for (const AttentionSubject& subject : probe.subjects) table.columns.push_back(subject.subject.name);
  if (lead != nullptr) {
    for (const char* column : {"T", "± se"}) table.columns.emplace_back(column);
    if (expects) table.columns.emplace_back("1/(α_Q α_K)");
    table.columns.emplace_back("explained %");
    for (const AttentionSubject* other : others) table.columns.push_back("of " + other->subject.name);
  }
  for (size_t block = 0; block < probe.blocks.size(); ++block) {
    Table::Row row{fmt::format("block {}", probe.blocks[block]), {}};
    for (const AttentionSubject& subject : probe.subjects) row.cells.push_back(number(mean_entropy(subject, block), 3));
    if (lead != nullptr) {
      const TemperatureFit& fit = lead->fits[block].all;
      row.cells.push_back(number(fit.temperature, 4));
      row.cells.push_back(number(fit.temperature_se, 4));
      if (expects) row.cells.push_back(number(probe.expected[block].expected, 4));
      row.cells.push_back(percent(fit.explained));
      for (const AttentionSubject* other : others) row.cells.push_back(percent(other->fits[block].all.explained));
    }
    table.rows.push_back(std::move(row));
  }
  return table;
}

std::vector<std::string> attention_words(const AttentionProbe& probe) {
  std::vector<std::string> out = {entropy_words(probe)};
  if (const AttentionSubject* lead = lead_of(probe)) {
    out.push_back(moved_words(probe, *lead));
    out.push_back(temperature_words(probe, *lead));
    out.push_back(explained_words(probe, *lead));
  }
  for (const AttentionSubject& subject : probe.subjects) {
    if (!subject.why_not.empty()) {
      out.push_back(fmt::format("{} is not compared with the original: {}.", subject.subject.name, subject.why_not));
    }
  }
  return out;
}

}  // namespace gyro
