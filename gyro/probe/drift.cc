#include "gyro/probe/drift.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "gyro/arch/arch.h"
#include "gyro/base/error.h"
#include "gyro/base/parallel.h"
#include "gyro/base/team.h"
#include "gyro/linalg/linalg.h"
#include "gyro/probe/divergence.h"
#include "gyro/probe/representations.h"
#include "gyro/spectra/moments.h"
#include "gyro/tensor/matrix.h"

namespace gyro {
namespace {

constexpr int64_t kPanel = 512;  // tokens whose logits are there at once
constexpr double kMargin = 1.05, kSigmas = 4;

// Sums over tokens of one block.
struct BlockSums {
  Moments cosine, norm_ratio;
  double difference = 0, base = 0;
  std::vector<double> by_prompt;
};

struct TokenSums {
  double base = 0, other = 0, inner = 0, difference = 0;
};

TokenSums sums_of(std::span<const float> base, std::span<const float> other) {
  TokenSums out;
  for (size_t i = 0; i < base.size(); ++i) {
    const double b = base[i], p = other[i];
    out.base += b * b;
    out.other += p * p;
    out.inner += b * p;
    out.difference += (p - b) * (p - b);
  }
  return out;
}

// The outputs of the blocks at the last position of each prompt: a column a block and prompt, blocks after each other.
struct LastStates {
  Matrix base, other;
};

void put_column(std::span<const float> state, Matrix& to, int64_t column) {
  std::ranges::copy(state, to.col(column));
}

void add_tokens(const Engine& engine, int64_t block, const HiddenStates& base, const HiddenStates& other,
                int64_t positions, BlockSums& sums) {
  double difference = 0, norms = 0;
  for (int64_t i = 0; i < positions; ++i) {
    const TokenSums token = sums_of(base.at(engine, block, i), other.at(engine, block, i));
    sums.cosine.add(token.inner / std::sqrt(token.base * token.other));
    sums.norm_ratio.add(std::sqrt(token.other / token.base));
    difference += token.difference;
    norms += token.base;
  }
  sums.difference += difference;
  sums.base += norms;
  sums.by_prompt.push_back(std::sqrt(difference / norms));
}

// Over prompts.
struct DistributionSums {
  Moments kl;
  double agreed = 0;

  void add(const Divergence& divergence) {
    kl.add(divergence.kl());
    agreed += divergence.same_top() ? 1 : 0;
  }
  DistributionDrift drift() const {
    const auto n = static_cast<double>(kl.count());
    return {kl.mean(), kl.sample_deviation() / std::sqrt(n), agreed / n};
  }
};

Divergence divergence_of(const HiddenStates& base, const HiddenStates& other, int64_t vocabulary) {
  const std::vector<double> p(other.logits.begin(), other.logits.begin() + vocabulary);
  const std::vector<double> q(base.logits.begin(), base.logits.begin() + vocabulary);
  Divergence out;
  out.add(0, p.data(), q.data(), vocabulary);
  return out;
}

// Of each column, by panels of the vocabulary.
std::vector<Divergence> lens_divergences(const DriftModel& base, const DriftModel& other, LastStates states,
                                         int threads) {
  apply_norm(base.lens, states.base);
  apply_norm(other.lens, states.other);
  const int64_t vocabulary = common_vocabulary(base, other), columns = states.base.cols();
  const auto panels = static_cast<int>((vocabulary + kPanel - 1) / kPanel);
  std::vector<Divergence> out(static_cast<size_t>(columns));
  const auto produce = [&](int panel) {
    const int64_t begin = panel * kPanel, end = std::min(vocabulary, begin + kPanel);
    const Matrix q = lens_logits(base.lens, states.base, begin, end);
    const Matrix p = lens_logits(other.lens, states.other, begin, end);
    std::vector<Divergence> pieces(out.size());
    for (int64_t j = 0; j < columns; ++j) pieces[static_cast<size_t>(j)].add(begin, p.col(j), q.col(j), end - begin);
    return pieces;
  };
  const auto consume = [&](int, const std::vector<Divergence>& pieces) {
    for (size_t j = 0; j < out.size(); ++j) out[j].merge(pieces[j]);
  };
  const auto stop = [team = current_team()] { return team != nullptr && team->asked_to_stop(); };
  checked({base.lens.source.get(), other.lens.source.get()}, [&] {
    if (!ordered_parallel(panels, threads, produce, consume, stop)) throw Stopped{};
  });
  return out;
}

double embedding_difference(const DriftModel& base, const DriftModel& other, std::span<const ProbePrompt> prompts) {
  std::map<int32_t, double> counts;
  for (const ProbePrompt& prompt : prompts) {
    for (const int32_t id : prompt.ids) ++counts[id];
  }
  double difference = 0, norms = 0;
  checked({base.lens.source.get(), other.lens.source.get()}, [&] {
    for (const auto& [id, count] : counts) {
      const Matrix b = embeddings(base.lens, id, id + 1), p = embeddings(other.lens, id, id + 1);
      difference += count * linalg::residual_square(b, p, 1);
      norms += count * linalg::dot(b, b);
    }
  });
  return std::sqrt(difference / norms);
}

BlockDrift block_drift(BlockSums&& sums, std::span<const Divergence> lens) {
  BlockDrift out{.cosine_mean = sums.cosine.mean(),
                 .cosine_sd = sums.cosine.deviation(),
                 .norm_ratio = sums.norm_ratio.mean(),
                 .relative_difference = std::sqrt(sums.difference / sums.base),
                 .by_prompt = std::move(sums.by_prompt),
                 .lens = {}};
  DistributionSums distributions;
  for (const Divergence& divergence : lens) distributions.add(divergence);
  out.lens = distributions.drift();
  return out;
}

}  // namespace

int64_t common_vocabulary(const DriftModel& a, const DriftModel& b) {
  return std::min(a.lens.vocabulary, b.lens.vocabulary);
}

void check_comparable(const Lens& base, const Engine& other, std::span<const ProbePrompt> prompts) {
  const std::string subject = base.source->path().string();
  const ModelConfig sizes = complete_config(*base.source);
  if (sizes.num_hidden_layers != other.layers() || sizes.hidden_size != other.width()) {
    fail(subject, "has {} blocks of width {}, and the post {} of width {}", sizes.num_hidden_layers, sizes.hidden_size,
         other.layers(), other.width());
  }
  for (const ProbePrompt& prompt : prompts) {
    const int32_t largest = std::ranges::max(prompt.ids);
    if (largest < base.vocabulary) continue;
    fail(subject, "has a vocabulary of {}, and question {} of {} has token {} of the post's", base.vocabulary,
         printable(prompt.id, 60), printable(prompt.task, 60), largest);
  }
}

Drift measure_drift(const DriftModel& base, const DriftModel& other, std::span<const ProbePrompt> prompts, int threads,
                    const std::function<void()>& done) {
  const int64_t layers = base.engine.layers(), width = base.engine.width();
  const auto count = static_cast<int64_t>(prompts.size());
  std::vector<BlockSums> sums(static_cast<size_t>(layers));
  LastStates last{Matrix(width, layers * count, Space::Host), Matrix(width, layers * count, Space::Host)};
  DistributionSums next_token;
  for (int64_t n = 0; n < count; ++n) {
    const ProbePrompt& prompt = prompts[static_cast<size_t>(n)];
    const auto positions = static_cast<int64_t>(prompt.ids.size());
    const HiddenStates of_base = hidden_states(base.engine, prompt), of_other = hidden_states(other.engine, prompt);
    for (int64_t block = 0; block < layers; ++block) {
      add_tokens(base.engine, block, of_base, of_other, positions, sums[static_cast<size_t>(block)]);
      put_column(of_base.at(base.engine, block, positions - 1), last.base, block * count + n);
      put_column(of_other.at(base.engine, block, positions - 1), last.other, block * count + n);
    }
    next_token.add(divergence_of(of_base, of_other, common_vocabulary(base, other)));
    if (done) done();
  }
  const std::vector<Divergence> lens = lens_divergences(base, other, std::move(last), threads);
  Drift out{embedding_difference(base, other, prompts), {}, next_token.drift()};
  for (size_t block = 0; block < sums.size(); ++block) {
    const auto of_block = std::span(lens).subspan(block * prompts.size(), prompts.size());
    out.blocks.push_back(block_drift(std::move(sums[block]), of_block));
  }
  return out;
}

DriftContrast contrast(const BlockDrift& drift, const BlockDrift& control) {
  Moments difference;
  for (size_t i = 0; i < drift.by_prompt.size(); ++i) difference.add(drift.by_prompt[i] - control.by_prompt[i]);
  const double error = difference.sample_deviation() / std::sqrt(static_cast<double>(difference.count()));
  DriftContrast out{drift.relative_difference / control.relative_difference, difference.mean() / error};
  if (!std::isfinite(out.ratio) || !std::isfinite(out.z)) return out;
  out.verdict = out.ratio > kMargin && out.z > kSigmas        ? DriftVerdict::More
                : out.ratio < 1 / kMargin && out.z < -kSigmas ? DriftVerdict::Less
                                                              : DriftVerdict::AsControl;
  return out;
}

}  // namespace gyro
