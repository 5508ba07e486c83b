#include "gyro/probe/representations.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "gyro/base/error.h"

namespace gyro {
namespace {

void check_finite(std::span<const float> values, const char* what) {
  if (!std::ranges::all_of(values, [](float value) { return std::isfinite(value); })) {
    fail("model", "its {} are not finite numbers", what);
  }
}

// Row `row` of `to` += factor × x.
void add_to_row(std::span<const float> x, double factor, Matrix& to, int64_t row) {
  for (size_t i = 0; i < x.size(); ++i) to(row, static_cast<int64_t>(i)) += factor * static_cast<double>(x[i]);
}

}  // namespace

std::span<const float> HiddenStates::at(const Engine& engine, int64_t block, int64_t position) const {
  const auto width = static_cast<size_t>(engine.width());
  const size_t positions = states.size() / width / static_cast<size_t>(engine.layers());
  const size_t row = static_cast<size_t>(block) * positions + static_cast<size_t>(position);
  return std::span(states).subspan(row * width, width);
}

HiddenStates hidden_states(Engine& engine, const ProbePrompt& prompt) {
  HiddenStates out;
  TapRequest request;
  request.hidden_positions.resize(prompt.ids.size());
  std::iota(request.hidden_positions.begin(), request.hidden_positions.end(), 0);
  const auto keep = [&](int64_t, std::span<const float> logits) { out.logits.assign(logits.begin(), logits.end()); };
  out.states = engine.forward(prompt.ids, LogitRows::Last, keep, request).hidden;
  check_finite(out.states, "hidden states");
  check_finite(out.logits, "logits");
  return out;
}

int64_t shortest_prompt(std::span<const ProbePrompt> prompts) {
  const auto size = [](const ProbePrompt& prompt) { return prompt.ids.size(); };
  return static_cast<int64_t>(std::ranges::min_element(prompts, {}, size)->ids.size());
}

Representations read_representations(Engine& engine, std::span<const ProbePrompt> prompts,
                                     const std::function<void()>& done) {
  const int64_t cut = shortest_prompt(prompts), width = engine.width();
  const auto count = static_cast<int64_t>(prompts.size());
  Representations out;
  for (int64_t block = 0; block < engine.layers(); ++block) {
    out.position_mean.push_back(Matrix::zeros(cut, width, Space::Host));
    out.question_mean.push_back(Matrix::zeros(count, width, Space::Host));
  }
  for (int64_t n = 0; n < count; ++n) {
    const ProbePrompt& prompt = prompts[static_cast<size_t>(n)];
    const HiddenStates hidden = hidden_states(engine, prompt);
    const auto positions = static_cast<int64_t>(prompt.ids.size());
    for (int64_t block = 0; block < engine.layers(); ++block) {
      const auto at = static_cast<size_t>(block);
      for (int64_t i = 0; i < positions; ++i) {
        const std::span<const float> state = hidden.at(engine, block, i);
        add_to_row(state, 1 / static_cast<double>(positions), out.question_mean[at], n);
        if (i < cut) add_to_row(state, 1 / static_cast<double>(count), out.position_mean[at], i);
      }
    }
    if (done) done();
  }
  return out;
}

}  // namespace gyro
