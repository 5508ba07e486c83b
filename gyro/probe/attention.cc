#include "gyro/probe/attention.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "gyro/base/error.h"

namespace gyro {
namespace {

void ignore(int64_t, std::span<const float>) {}

void check_row(std::span<const float> row, int64_t block, int64_t head, int64_t query) {
  const double sum = std::accumulate(row.begin(), row.end(), 0.0);
  if (std::abs(sum - 1) <= kRowTolerance) return;
  fail("attention", "of head {} in block {} to token {} sums to {:.6g}, not to 1", head, block, query, sum);
}

}  // namespace

LastRows last_rows(Engine& engine, std::span<const int32_t> ids, const std::vector<int64_t>& blocks) {
  const auto positions = static_cast<int64_t>(ids.size());
  const TapRequest request = {.attention_rows = {positions - 1}, .attention_layers = blocks};
  LastRows out{blocks, engine.heads(), positions, engine.forward(ids, LogitRows::Last, ignore, request).attention};
  for (size_t block = 0; block < blocks.size(); ++block) {
    for (int64_t head = 0; head < out.heads; ++head) check_row(out.row(block, head), blocks[block], head, positions);
  }
  return out;
}

double entropy_of(std::span<const double> probabilities) {
  double sum = 0;
  for (const double p : probabilities) {
    if (p > 0) sum -= p * std::log(p);
  }
  return sum;
}

std::vector<BlockEntropy> block_entropies(const LastRows& rows) {
  std::vector<BlockEntropy> out;
  const auto heads = static_cast<double>(rows.heads);
  for (size_t block = 0; block < rows.blocks.size(); ++block) {
    BlockEntropy entropy;
    std::vector<double> average(static_cast<size_t>(rows.positions));
    for (int64_t head = 0; head < rows.heads; ++head) {
      const std::span<const float> row = rows.row(block, head);
      entropy.heads.push_back(entropy_of(std::vector<double>(row.begin(), row.end())));
      entropy.mean += entropy.heads.back() / heads;
      for (size_t i = 0; i < average.size(); ++i) average[i] += static_cast<double>(row[i]) / heads;
    }
    entropy.of_mean = entropy_of(average);
    out.push_back(std::move(entropy));
  }
  return out;
}

int64_t keys_seen(const LastRows& rows, size_t block, const Hyperparameters* parameters) {
  if (parameters != nullptr) {
    const bool slides = parameters->window > 0 && parameters->sliding[static_cast<size_t>(rows.blocks[block])];
    return slides ? std::min(parameters->window, rows.positions) : rows.positions;
  }
  int64_t first = rows.positions;
  for (int64_t head = 0; head < rows.heads; ++head) {
    const std::span<const float> row = rows.row(block, head);
    const auto at = std::ranges::find_if(row, [](float p) { return p > 0; });
    first = std::min<int64_t>(first, at - row.begin());
  }
  return rows.positions - first;
}

std::vector<std::vector<float>> attention_maps(Engine& engine, std::span<const int32_t> ids,
                                               std::span<const MapChoice> choices) {
  const size_t n = ids.size(), heads = static_cast<size_t>(engine.heads());
  TapRequest request;
  request.attention_rows.resize(n);
  std::iota(request.attention_rows.begin(), request.attention_rows.end(), int64_t{0});
  std::vector<int64_t>& blocks = request.attention_layers;
  for (const MapChoice& choice : choices) blocks.push_back(choice.block);
  std::ranges::sort(blocks);
  blocks.erase(std::unique(blocks.begin(), blocks.end()), blocks.end());
  if (blocks.empty()) return {};
  const Taps taps = engine.forward(ids, LogitRows::Last, ignore, request);
  std::vector<std::vector<float>> maps;
  for (const MapChoice& choice : choices) {
    const auto place = static_cast<size_t>(std::ranges::lower_bound(blocks, choice.block) - blocks.begin());
    std::vector<float> map(n * n);
    for (size_t query = 0; query < n; ++query) {
      std::vector<double> mean(n);
      const bool all = choice.head == MapChoice::kMeanOfHeads;
      const size_t first = all ? 0 : static_cast<size_t>(choice.head), end = all ? heads : first + 1;
      for (size_t head = first; head < end; ++head) {
        const auto row = std::span(taps.attention).subspan(((place * n + query) * heads + head) * n, n);
        check_row(row, choice.block, static_cast<int64_t>(head), static_cast<int64_t>(query) + 1);
        for (size_t i = 0; i < n; ++i) mean[i] += static_cast<double>(row[i]) / static_cast<double>(end - first);
      }
      std::ranges::transform(mean, map.begin() + static_cast<std::ptrdiff_t>(query * n),
                             [](double p) { return static_cast<float>(p); });
    }
    maps.push_back(std::move(map));
  }
  return maps;
}

}  // namespace gyro
