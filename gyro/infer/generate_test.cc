#include "gyro/infer/generate.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "gyro/checkpoint/checkpoint.h"
#include "gyro/infer/test_util.h"

namespace gyro {
namespace {

using Json = nlohmann::json;

// A shipped model, and the goldens' prompts of it.
struct Shipped {
  explicit Shipped(const std::string& name, std::optional<DType> dtype = DType::F32)
      : source(shipped_model(name + "/instruct")),
        engine(source, {.dtype = dtype, .threads = 1}),
        ends(read_vocabulary(source, std::nullopt, 448).ends) {
    const auto path = std::filesystem::path(GYRO_SOURCE_DIR) / "tests/goldens" / name / "instruct-forward.json";
    goldens = Json::parse(read_file(path, size_t{1} << 20)).at("prompts");
    for (const Json& prompt : goldens)
      prompts.push_back({prompt.at("ids").get<std::vector<int32_t>>(), prompts.size()});
  }

  // The prompts, and pieces of them, of many lengths.
  std::vector<GeneratePrompt> many(size_t count) const {
    std::vector<GeneratePrompt> out;
    for (size_t i = 0; i < count; ++i) {
      GeneratePrompt prompt = prompts[i % prompts.size()];
      if (i >= prompts.size()) prompt.ids.resize(prompt.ids.size() - std::min(prompt.ids.size() - 1, i));
      prompt.stream = i;
      out.push_back(std::move(prompt));
    }
    // Longer than a piece, by one and by more, and than what the cache grows by.
    for (const size_t size : {300, 513, 560}) {
      GeneratePrompt& prompt = out[out.size() - 1 - size % 3];
      while (prompt.ids.size() < size) prompt.ids.push_back(prompt.ids[prompt.ids.size() - 20]);
    }
    return out;
  }

  Checkpoint source;
  Engine engine;
  std::vector<int32_t> ends;
  Json goldens;
  std::vector<GeneratePrompt> prompts;
};

GenerateOptions options(double temperature, int64_t most, int slots) {
  GenerateOptions out;
  out.sampler = {temperature, temperature > 2 ? 1 : 0.95, 5};
  out.max_tokens = most;
  out.slots = slots;
  out.log_probabilities = true;
  return out;
}

void expect_same(const Generation& a, const Generation& b, const std::string& what) {
  EXPECT_EQ(a.ids, b.ids) << what;
  EXPECT_EQ(a.finish, b.finish) << what;
  EXPECT_EQ(a.log_probabilities, b.log_probabilities) << what;  // to the last bit
}

class Families : public testing::TestWithParam<const char*> {};

TEST_P(Families, GreedyTextsAreThoseOfTransformers) {
  const Shipped model(GetParam());
  const Generations found = generate(model.engine, model.prompts, model.ends, options(0, 64, 2));
  ASSERT_EQ(found.texts.size(), model.goldens.size());
  for (size_t i = 0; i < found.texts.size(); ++i) {
    EXPECT_GT(model.goldens[i].at("greedy_min_gap"), 0.01);
    EXPECT_EQ(found.texts[i].ids, model.goldens[i].at("greedy_ids").get<std::vector<int32_t>>());
    const bool ended = std::ranges::count(model.ends, found.texts[i].ids.back()) > 0;
    EXPECT_EQ(found.texts[i].finish, ended ? Finish::End : Finish::Length);
  }
}

TEST_P(Families, ATextDoesNotDependOnWhatElseIsInTheBatch) {
  const Shipped model(GetParam());
  const std::vector<GeneratePrompt> prompts = model.many(14);
  const Generations alone = generate(model.engine, prompts, model.ends, options(3, 40, 1));
  EXPECT_TRUE(alone.batch_independent);
  for (const int slots : {2, 3, 14, 32}) {
    const Generations together = generate(model.engine, prompts, model.ends, options(3, 40, slots));
    for (size_t i = 0; i < prompts.size(); ++i) {
      expect_same(together.texts[i], alone.texts[i], fmt::format("prompt {} with {} slots", i, slots));
    }
  }
  for (size_t i = 0; i < prompts.size(); i += 3) {  // without the others' shared beginning
    const Generations one = generate(model.engine, std::span(prompts).subspan(i, 1), model.ends, options(3, 40, 4));
    expect_same(one.texts[0], alone.texts[i], fmt::format("prompt {} alone", i));
  }
}

INSTANTIATE_TEST_SUITE_P(Generate, Families,
                         testing::Values("pico-qwen2", "pico-llama", "pico-mistral", "pico-gemma2", "pico-phi3"),
                         [](const auto& family) { return std::string(family.param).substr(5); });

TEST(Generate, BatchesOfTheCheckpointsDtypeAreIndependentToo) {
  const Shipped model("pico-qwen2", std::nullopt);
  const std::vector<GeneratePrompt> prompts = model.many(9);
  const Generations alone = generate(model.engine, prompts, model.ends, options(1, 30, 1));
  const Generations together = generate(model.engine, prompts, model.ends, options(1, 30, 9));
  for (size_t i = 0; i < prompts.size(); ++i) expect_same(together.texts[i], alone.texts[i], std::to_string(i));
}

TEST(Generate, PromptsOfAllLengthsAreComputedTogether) {
  const Shipped model("pico-qwen2");
  const std::vector<int32_t>& ids = model.prompts[0].ids;
  ASSERT_GT(ids.size(), 40U);
  std::vector<GeneratePrompt> prompts;
  for (uint64_t i = 0; i < 200; ++i) {
    const auto size = static_cast<std::ptrdiff_t>(1 + i * 17 % 40);
    prompts.push_back({{ids.end() - size, ids.end()}, i});
  }
  const Generations alone = generate(model.engine, prompts, model.ends, options(2, 3, 1));
  for (const int slots : {7, 200}) {
    const Generations together = generate(model.engine, prompts, model.ends, options(2, 3, slots));
    EXPECT_EQ(together.prompt_tokens, alone.prompt_tokens);
    for (size_t i = 0; i < prompts.size(); ++i) {
      expect_same(together.texts[i], alone.texts[i], fmt::format("prompt {} with {} slots", i, slots));
    }
  }
}

TEST(Generate, TheSharedBeginningIsComputedOnce) {
  const Shipped model("pico-qwen2");
  int64_t all = 0;
  for (const GeneratePrompt& prompt : model.prompts) all += static_cast<int64_t>(prompt.ids.size());
  size_t shared = 0;
  const std::vector<int32_t>&a = model.prompts[0].ids, &b = model.prompts[1].ids, &c = model.prompts[2].ids;
  while (a[shared] == b[shared] && a[shared] == c[shared]) ++shared;
  ASSERT_GT(shared, 16U) << "the system prompt";
  const Generations found = generate(model.engine, model.prompts, model.ends, options(0, 4, 3));
  EXPECT_EQ(found.prompt_tokens, all - 2 * static_cast<int64_t>(shared));
}

TEST(Generate, SeedAndStreamChooseTheText) {
  const Shipped model("pico-llama");
  std::vector<GeneratePrompt> prompts(6, model.prompts[0]);
  for (size_t i = 0; i < prompts.size(); ++i) prompts[i].stream = i / 2;
  const Generations found = generate(model.engine, prompts, model.ends, options(4, 30, 6));
  EXPECT_EQ(found.texts[0].ids, found.texts[1].ids);
  EXPECT_NE(found.texts[0].ids, found.texts[2].ids);
  GenerateOptions other = options(4, 30, 6);
  other.sampler.seed = 6;
  EXPECT_NE(generate(model.engine, prompts, model.ends, other).texts[0].ids, found.texts[0].ids);
}

TEST(Generate, SaysHowATextFinished) {
  const Shipped model("pico-llama");
  const std::span<const GeneratePrompt> one(model.prompts.data(), 1);
  EXPECT_EQ(generate(model.engine, one, {}, options(0, 1, 1)).texts[0].ids.size(), 1U);
  const Generations length = generate(model.engine, one, {}, options(0, 70, 1));
  EXPECT_EQ(length.texts[0].finish, Finish::Length);
  EXPECT_EQ(length.texts[0].ids.size(), 70U);
  EXPECT_EQ(length.new_tokens, 70);
  const auto three = [told = 0](size_t, int32_t) mutable { return ++told < 3; };
  const Generations stopped = generate(model.engine, one, {}, options(0, 70, 1), three);
  EXPECT_EQ(stopped.texts[0].finish, Finish::Stopped);
  EXPECT_EQ(stopped.texts[0].ids.size(), 3U);
  const auto prompt_size = static_cast<int64_t>(model.prompts[0].ids.size());
  const Engine narrow(model.source, {.dtype = DType::F32, .context = prompt_size + 5, .threads = 1});
  const Generations full = generate(narrow, one, {}, options(0, 70, 1));
  EXPECT_EQ(full.texts[0].finish, Finish::Context);
  EXPECT_EQ(full.texts[0].ids.size(), 6U) << "the last token has no position of its own";
  EXPECT_TRUE(std::equal(full.texts[0].ids.begin(), full.texts[0].ids.end(), length.texts[0].ids.begin()));
}

TEST(Generate, SlotsHaveBounds) {
  const Shipped model("pico-llama");
  const std::vector<GeneratePrompt> prompts(300, {{443, 64}, 0});
  const Generations few = generate(model.engine, std::span(prompts).first(3), {}, options(0, 2, -1));
  const Generations many = generate(model.engine, prompts, {}, options(0, 2, 1'000'000));
  EXPECT_EQ(many.new_tokens, 600);
  for (const Generation& text : many.texts) expect_same(text, few.texts[2], "one of 300");
}

TEST(Generate, RefusesPromptsThatItCannotContinue) {
  const Shipped model("pico-llama");
  const auto line = [&](std::vector<int32_t> ids, int64_t context) {
    const Engine engine(model.source, {.dtype = DType::F32, .context = context, .threads = 1});
    const std::vector<GeneratePrompt> prompts = {{std::move(ids), 0}};
    return error_of([&] { generate(engine, prompts, {}, options(0, 3, 1)); });
  };
  EXPECT_EQ(line({}, 64), "prompt: has no tokens");
  EXPECT_EQ(line({1, 448}, 64), "prompt: token 448 is none of the model's 448");
  EXPECT_EQ(line({-1}, 64), "prompt: token -1 is none of the model's 448");
  EXPECT_EQ(line(std::vector<int32_t>(64, 1), 64),
            "prompt: has 64 tokens and leaves no room in the context of 64 positions");
  EXPECT_EQ(line(std::vector<int32_t>(63, 1), 64), "no error");
  EXPECT_TRUE(generate(model.engine, {}, {}, options(0, 3, 1)).texts.empty());
}

}  // namespace
}  // namespace gyro
