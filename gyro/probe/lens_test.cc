// The lens on the last block's output is the model: its logits must be the engine's, of every shipped family.
#include "gyro/probe/lens.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "gyro/infer/library.h"
#include "gyro/probe/representations.h"
#include "gyro/probe/test_util.h"

namespace gyro {
namespace {

class LensOf : public testing::TestWithParam<const char*> {};

TEST_P(LensOf, TheLastBlockIsWhatTheEngineSays) {
  if (!can_infer()) GTEST_SKIP() << "no engine";
  ChatModel chat = shipped_chat(std::string(GetParam()) + "/instruct");
  Engine& engine = chat.loaded.engine;
  const Lens lens = open_lens(chat.loaded.source);
  ASSERT_EQ(lens.vocabulary, engine.vocabulary());
  const std::vector<ProbePrompt> prompts = shipped_prompts(chat, 2);
  for (const ProbePrompt& prompt : prompts) {
    const HiddenStates hidden = hidden_states(engine, prompt);
    const auto last = static_cast<int64_t>(prompt.ids.size()) - 1;
    Matrix state(engine.width(), 1, Space::Host);
    std::ranges::copy(hidden.at(engine, engine.layers() - 1, last), state.data());
    apply_norm(lens, state);
    const int64_t middle = lens.vocabulary / 3;
    const Matrix first = lens_logits(lens, state, 0, middle), rest = lens_logits(lens, state, middle, lens.vocabulary);
    double largest = 0, departure = 0;
    for (int64_t i = 0; i < lens.vocabulary; ++i) {
      const double expected = hidden.logits[static_cast<size_t>(i)];
      largest = std::max(largest, std::abs(expected));
      departure = std::max(departure, std::abs((i < middle ? first(i, 0) : rest(i - middle, 0)) - expected));
    }
    EXPECT_LT(departure, 2e-5 * largest);
  }
}

INSTANTIATE_TEST_SUITE_P(ShippedFamilies, LensOf,
                         testing::Values("pico-qwen2", "pico-llama", "pico-mistral", "pico-gemma2", "pico-phi3",
                                         "pico-qwen3", "pico-qwen3moe"),
                         [](const auto& of) { return std::string(of.param).substr(5); });

}  // namespace
}  // namespace gyro
