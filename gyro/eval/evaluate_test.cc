#include "gyro/eval/evaluate.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "gyro/base/file.h"
#include "gyro/base/test_util.h"
#include "gyro/checkpoint/checkpoint.h"
#include "gyro/eval/sample.h"
#include "gyro/infer/library.h"

namespace gyro {
namespace {

namespace fs = std::filesystem;

// A shipped model that answers the first questions of a shipped task.
class Evaluate : public testing::Test {
 protected:
  void SetUp() override {
    if (!can_infer()) GTEST_SKIP() << "no engine";
    model_.emplace(open_chat(
        load_model(fs::path(GYRO_SOURCE_DIR) / "models/pico-qwen2/instruct", {.dtype = DType::F32, .threads = 1})));
    EvalTask task{read_task("tiny", fs::path(GYRO_SOURCE_DIR) / "data/tiny_gsm8k.jsonl", 0), {}};
    limit_questions(task.task, 7, 0);
    request_.variants = {"original"};
    request_.tasks = {task};
    request_.options.completion = {{.temperature = 2, .top_p = 1, .seed = 4}, 24, 5, {}};
    request_.options.repeats = 2;
    request_.samples = folder_ / "samples.jsonl";
    request_.prepare = [this](size_t) -> Completer {
      const Completer real = complete_by(*model_);
      return [this, real](auto requests, const auto& options, const auto& sink) {
        asked_ += requests.size();
        real(requests, options, sink);
      };
    };
  }

  std::map<std::string, std::string> outputs(const fs::path& file) const {
    std::map<std::string, std::string> out;
    read_samples(file, [&](const Sample& sample) {
      EXPECT_TRUE(
          out.emplace(fmt::format("{} {} {} {}", sample.variant, sample.task, sample.id, sample.repeat), sample.output)
              .second)
          << "asked twice";
    });
    return out;
  }

  TempDir folder_;
  std::optional<ChatModel> model_;
  EvalRequest request_;
  size_t asked_ = 0;
};

TEST_F(Evaluate, AsksEachQuestionAsOftenAsThereAreRepeats) {
  const auto scores = evaluate(request_);
  ASSERT_TRUE(scores);
  EXPECT_EQ(scores->size(), 14U);
  EXPECT_EQ(asked_, 14U);
  const auto found = outputs(request_.samples);
  EXPECT_EQ(found.size(), 14U);
  int differ = 0;
  for (int i = 0; i < 7; ++i) {
    differ += found.at(fmt::format("original tiny {} 0", i)) != found.at(fmt::format("original tiny {} 1", i));
  }
  EXPECT_GT(differ, 0) << "repeats draw anew";
  EXPECT_TRUE(std::ranges::all_of(*scores, [](const Score& score) { return score.tokens > 0 && score.tokens <= 24; }));
}

TEST_F(Evaluate, AnswersHangOnNothingThatIsAskedBeside) {
  ASSERT_TRUE(evaluate(request_));
  const auto first = outputs(request_.samples);
  request_.samples = folder_ / "again.jsonl";
  request_.options.completion.concurrency = 1;
  request_.options.repeats = 1;
  request_.variants = {"other"};
  std::ranges::reverse(request_.tasks[0].task.questions);
  request_.tasks[0].task.questions.resize(4);
  ASSERT_TRUE(evaluate(request_));
  const auto again = outputs(request_.samples);
  ASSERT_EQ(again.size(), 4U);
  for (const auto& [key, output] : again) EXPECT_EQ(output, first.at("original" + key.substr(5))) << key;
}

TEST_F(Evaluate, GoesOnWhereARunWasKilled) {
  ASSERT_TRUE(evaluate(request_));
  const auto whole = outputs(request_.samples);
  const std::string text = read_file(request_.samples, 1 << 20);
  for (const size_t size : {text.size() / 3, text.size() - 1, size_t{0}}) {
    write_text(request_.samples, text.substr(0, size));
    const auto kept = static_cast<size_t>(std::ranges::count(text.substr(0, size), '\n'));
    asked_ = 0;
    const auto scores = evaluate(request_);
    ASSERT_TRUE(scores);
    EXPECT_EQ(scores->size(), 14U);
    EXPECT_EQ(asked_, 14 - kept);
    EXPECT_EQ(outputs(request_.samples), whole);
  }
  asked_ = 0;
  request_.variants = {"original", "more"};
  EXPECT_EQ(evaluate(request_)->size(), 28U);
  EXPECT_EQ(asked_, 14U) << "those of the variant that is new";
}

TEST_F(Evaluate, KeepsWhatItHasWhenItIsStopped) {
  int tokens = 0;
  request_.options.completion.stop = [&] { return ++tokens > 100; };
  EXPECT_FALSE(evaluate(request_));
  const size_t kept = outputs(request_.samples).size();
  EXPECT_LT(kept, 14U);
  request_.options.completion.stop = {};
  asked_ = 0;
  EXPECT_EQ(evaluate(request_)->size(), 14U);
  EXPECT_EQ(asked_, 14 - kept);
}

TEST_F(Evaluate, RefusesSamplesThatItDoesNotAskFor) {
  ASSERT_TRUE(evaluate(request_));
  request_.options.repeats = 1;
  EXPECT_NE(error_of([&] { evaluate(request_); }).find("has an answer that this run does not ask for"),
            std::string::npos);
  write_text(request_.samples, "{\"id\": 3}\n");
  EXPECT_TRUE(error_of([&] { evaluate(request_); }).ends_with("samples.jsonl: line 1 is no sample"));
}

TEST_F(Evaluate, GpqaIsNotSpread) {
  request_.tasks[0].task.form = TaskForm::Gpqa;
  for (Question& question : request_.tasks[0].task.questions) question.text += std::string(200, 'x');
  request_.options.repeats = 1;
  ASSERT_TRUE(evaluate(request_));
  read_samples(request_.samples, [](const Sample& sample) {
    EXPECT_TRUE(sample.prompt.empty());
    EXPECT_EQ(sample.prompt_sha256.size(), 64U);
    EXPECT_LE(sample.question.size(), 80U);
  });
}

TEST(QuestionMessages, ShowsExamples) {
  EvalTask task{{},
                {{"", "other?", {}, "2", "", "b"}, {"", "q?", {}, "1", "", "a"}, {"", "alike?", {}, "3", "so", "a"}}};
  task.task.system = "Box it.";
  const Question question{"", "q?", {}, "1", "", "a"};
  EvalOptions options;
  options.few_shot = 2;
  std::vector<ChatMessage> messages = question_messages(task, question, options);
  ASSERT_EQ(messages.size(), 2U);
  EXPECT_EQ(messages[0].content, "Box it.");
  EXPECT_EQ(messages[1].content, "alike?\nso\n\\boxed{3}\n\nother?\n\\boxed{2}\n\nq?") << "itself is no example";
  options.few_shot_turns = true;
  messages = question_messages(task, question, options);
  ASSERT_EQ(messages.size(), 6U);
  EXPECT_EQ(messages[2].role, "assistant");
  EXPECT_EQ(messages[5].content, "q?");
}

}  // namespace
}  // namespace gyro
