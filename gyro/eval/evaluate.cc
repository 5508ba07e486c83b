#include "gyro/eval/evaluate.h"

#include <algorithm>
#include <map>
#include <memory>
#include <tuple>

#include "gyro/base/error.h"
#include "gyro/base/random.h"
#include "gyro/base/sha256.h"
#include "gyro/base/utf8.h"
#include "gyro/eval/grade/normal.h"
#include "gyro/eval/sample.h"

namespace gyro {
namespace {

constexpr std::string_view kNoAnswer = "no-answer";  // the rule of grading for it
constexpr size_t kPortion = 8192;                    // requests at once
constexpr size_t kMostAnswers = size_t{1} << 30;

std::string sha256_of(const std::string& text) {
  Sha256 hash;
  hash.update(text);
  return hash.hex();
}

// The random numbers of an answer: by what is asked, not by its place.
uint64_t stream_of(const Task& task, const Question& question, int64_t repeat) {
  const uint64_t asked = std::stoull(sha256_of(task.name + '\n' + question.id).substr(0, 16), nullptr, 16);
  return mix64(asked ^ mix64(static_cast<uint64_t>(repeat)));
}

// But for white space around it.
bool same_text(std::string_view a, std::string_view b) {
  return grading::trimmed(a) == grading::trimmed(b);
}

std::vector<const Question*> examples_for(const EvalTask& task, const Question& question, int64_t count) {
  std::vector<const Question*> out;
  for (const bool same_subject : {true, false}) {
    for (const Question& example : task.examples) {
      if (static_cast<int64_t>(out.size()) == count) return out;
      if ((example.subject == question.subject) == same_subject && !same_text(example.text, question.text))
        out.push_back(&example);
    }
  }
  return out;
}

// Which answers there are, by variant, task, question and repeat.
using Key = std::tuple<size_t, size_t, size_t, int64_t>;

class Evaluation {
 public:
  explicit Evaluation(const EvalRequest& request) : request_(request) {
    for (size_t task = 0; task < request.tasks.size(); ++task) {
      const std::vector<Question>& questions = request.tasks[task].task.questions;
      for (size_t i = 0; i < questions.size(); ++i) places_[{task, questions[i].id}] = i;
      total_ += questions.size();
    }
    total_ *= request.variants.size() * static_cast<size_t>(request.options.repeats);
    if (total_ > kMostAnswers) fail_field("repeats", "{} answers are more than {}", total_, kMostAnswers);
    take_up();
  }

  std::optional<std::vector<Score>> run() {
    Progress progress("answers", static_cast<int>(total_), static_cast<double>(total_), request_.progress);
    progress.advance(static_cast<int>(scores_.size()), static_cast<double>(scores_.size()));
    for (size_t variant = 0; variant < request_.variants.size(); ++variant) {
      if (!ask_variant(variant, progress)) return std::nullopt;
    }
    std::vector<Score> out;
    for (const auto& [key, score] : scores_) out.push_back(score);
    return out;
  }

 private:
  // The samples of an earlier run.
  void take_up() {
    if (request_.samples.empty()) return;
    writer_ = std::make_unique<SampleWriter>(request_.samples);
    writer_->go_on_at(read_samples(request_.samples, [this](const Sample& sample) { take(sample); }));
  }

  void take(const Sample& sample) {
    const auto variant = std::ranges::find(request_.variants, sample.variant) - request_.variants.begin();
    const auto task =
        std::ranges::find(request_.tasks, sample.task, [](const EvalTask& one) { return one.task.name; }) -
        request_.tasks.begin();
    const auto place = places_.find({static_cast<size_t>(task), sample.id});
    if (static_cast<size_t>(variant) == request_.variants.size()) return;  // another run's, of the same questions
    if (place == places_.end() || sample.repeat < 0 || sample.repeat >= request_.options.repeats) {
      fail(request_.samples.string(), "has an answer that this run does not ask for ({}, {} {})",
           printable(sample.variant, 60), printable(sample.task, 60), printable(sample.id, 60));
    }
    add(sample, static_cast<size_t>(variant), static_cast<size_t>(task), place->second);
  }

  void add(const Sample& sample, size_t variant, size_t task, size_t question) {
    const grading::Decision &strict = sample.grade.strict, &flexible = sample.grade.flexible;
    scores_[{variant, task, question, sample.repeat}] = {variant,
                                                         task,
                                                         question,
                                                         sample.repeat,
                                                         strict.verdict == grading::Verdict::Correct,
                                                         flexible.verdict == grading::Verdict::Correct,
                                                         strict.rule != kNoAnswer,
                                                         sample.cut,
                                                         sample.tokens};
  }

  bool stopped() const { return request_.options.completion.stop && request_.options.completion.stop(); }

  // Whether it came to its end.
  bool ask_variant(size_t variant, Progress& progress) {
    std::vector<std::vector<Key>> missing(request_.tasks.size());
    bool any = false;
    for (size_t task = 0; task < request_.tasks.size(); ++task) {
      missing[task] = missing_of(variant, task);
      any = any || !missing[task].empty();
    }
    if (!any) return true;
    if (stopped()) return false;
    progress.begin(request_.variants[variant]);
    const Completer completer = request_.prepare(variant);
    for (size_t task = 0; task < request_.tasks.size(); ++task) {
      if (stopped()) return false;
      progress.begin(request_.variants[variant] + ", " + request_.tasks[task].task.name);
      if (!ask(completer, missing[task], progress)) return false;
    }
    return true;
  }

  std::vector<Key> missing_of(size_t variant, size_t task) const {
    std::vector<Key> out;
    for (int64_t repeat = 0; repeat < request_.options.repeats; ++repeat) {
      for (size_t i = 0; i < request_.tasks[task].task.questions.size(); ++i) {
        const Key key{variant, task, i, repeat};
        if (!scores_.contains(key)) out.push_back(key);
      }
    }
    return out;
  }

  bool ask(const Completer& completer, std::span<const Key> keys, Progress& progress) {
    for (; !keys.empty(); keys = keys.subspan(std::min(kPortion, keys.size()))) {
      const auto portion = keys.first(std::min(kPortion, keys.size()));
      std::vector<CompletionRequest> requests;
      for (const auto& [variant, task, question, repeat] : portion) {
        const EvalTask& asked = request_.tasks[task];
        const Question& one = asked.task.questions[question];
        requests.push_back({question_messages(asked, one, request_.options), stream_of(asked.task, one, repeat)});
      }
      size_t answered = 0;
      completer(requests, request_.options.completion, [&](size_t i, const Completion& completion) {
        keep(portion[i], completion);
        progress.advance(1, 1);
        ++answered;
      });
      if (answered < portion.size()) return false;
    }
    return true;
  }

  void keep(const Key& key, const Completion& completion) {
    const auto& [variant, task, question, repeat] = key;
    const Task& asked = request_.tasks[task].task;
    const Question& one = asked.questions[question];
    Sample sample{request_.variants[variant],
                  asked.name,
                  one.id,
                  repeat,
                  one.text,
                  completion.prompt,
                  "",
                  completion.output,
                  {},
                  completion.tokens,
                  completion.cut};
    sample.prompt_sha256 = sha256_of(completion.prompt);
    if (is_hidden(asked) || request_.tasks[task].hides_examples) {
      sample.question = shown_of_hidden(one.text);
      sample.prompt.clear();
    }
    sample.grade = grading::grade({asked.policy, one.gold, completion.output, completion.cut, one.choices});
    if (writer_) writer_->write(sample);
    add(sample, variant, task, question);
  }

  const EvalRequest& request_;
  std::map<std::pair<size_t, std::string>, size_t> places_;  // of questions in their tasks
  size_t total_ = 0;
  std::map<Key, Score> scores_;
  std::unique_ptr<SampleWriter> writer_;
};

}  // namespace

std::vector<ChatMessage> question_messages(const EvalTask& task, const Question& question, const EvalOptions& options) {
  std::vector<ChatMessage> messages;
  if (!task.task.system.empty()) messages.push_back({"system", task.task.system});
  std::string before;
  const std::vector<const Question*> examples = examples_for(task, question, options.few_shot);
  if (static_cast<int64_t>(examples.size()) < options.few_shot) {
    fail_field("few_shot", "{} has {} examples for question {}, which itself is none", task.task.name, examples.size(),
               printable(question.id, 60));
  }
  for (const Question* example : examples) {
    if (options.few_shot_turns) {
      messages.push_back({"user", question_prompt(*example)});
      messages.push_back({"assistant", example_answer(*example)});
    } else {
      before += question_prompt(*example) + "\n" + example_answer(*example) + "\n\n";
    }
  }
  messages.push_back({"user", before + question_prompt(question)});
  return messages;
}

std::optional<std::vector<Score>> evaluate(const EvalRequest& request) {
  return Evaluation(request).run();
}

}  // namespace gyro
