#include "gyro/eval/task.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>
#include <set>

#include "gyro/base/error.h"
#include "gyro/base/file.h"
#include "gyro/base/random.h"
#include "gyro/base/sha256.h"
#include "gyro/base/utf8.h"
#include "gyro/eval/completion.h"
#include "gyro/eval/task_forms.h"

namespace gyro {
namespace {

namespace fs = std::filesystem;

constexpr size_t kFileLimit = size_t{1} << 30;
constexpr size_t kNameLimit = 200;

bool is_choice(TaskForm form) {
  return form == TaskForm::Mmlu || form == TaskForm::Gpqa || form == TaskForm::CommonsenseQa ||
         form == TaskForm::Choices;
}

// "abstract_algebra_dev.csv" is abstract algebra.
std::string subject_of(const fs::path& file) {
  std::string name = file.stem().string();
  for (const char* split : {"_dev", "_test", "_val"}) {
    if (name.ends_with(split)) name.resize(name.size() - std::string_view(split).size());
  }
  return name;
}

std::vector<fs::path> files_of(const fs::path& folder) {
  std::vector<fs::path> files;
  bool splits = false;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() == ".csv") files.push_back(entry.path());
    splits = splits || entry.path().filename() == "dev" || entry.path().filename() == "test";
  }
  std::ranges::sort(files);
  if (files.empty() && splits)
    fail(folder.string(), "is MMLU's folder: name one of its splits, such as {}/dev", folder.string());
  if (files.empty()) fail(folder.string(), "has no .csv files");
  return files;
}

void read_into(Task& task, const fs::path& file, const std::string& subject, uint64_t seed, Sha256& hash) {
  const std::string name = file.string(), text = read_file(file, kFileLimit);
  hash.update(text);
  const bool csv = file.extension() == ".csv";
  const CsvRecords records = csv ? read_csv(name, text) : CsvRecords();
  const TaskForm form = csv ? csv_form(name, records) : jsonl_form(name, text);
  if (!task.questions.empty() && form != task.form) {
    fail(name, "is of the form {}, other files of the folder are {}", form_name(form), form_name(task.form));
  }
  task.form = form;
  std::vector<Question> questions =
      csv ? read_csv_questions(name, records, form, subject, seed) : read_jsonl(name, text, form);
  for (Question& question : questions) {
    if (question.id.empty()) {
      question.id = subject.empty() ? fmt::format("{}", task.questions.size())
                                    : fmt::format("{}/{}", subject, &question - questions.data());
    }
    task.questions.push_back(std::move(question));
  }
}

void check(const Task& task) {
  if (task.questions.empty()) fail(task.path.string(), "has no questions");
  std::set<std::string_view> ids;
  for (const Question& question : task.questions) {
    if (!ids.insert(question.id).second) fail(task.path.string(), "has the id {} twice", printable(question.id, 80));
    // What is not UTF-8 cannot be said in JSON.
    try {
      (void)nlohmann::json{question.id,       question.text,    question.gold,
                           question.solution, question.subject, question.choices}
          .dump();
    } catch (const nlohmann::json::exception&) {
      fail(task.path.string(), "question {} is not UTF-8", &question - task.questions.data() + 1);
    }
  }
}

grading::Policy policy_of_form(TaskForm form) {
  if (form == TaskForm::Gsm8k) return grading::Policy::Gsm8k;
  return is_choice(form) ? grading::Policy::Choice : grading::Policy::Math;
}

// GSM8K's solutions have a calculator's notes: 6*2=<<6*2=12>>12.
std::string without_notes(std::string_view text) {
  std::string out;
  for (size_t begin; (begin = text.find("<<")) != std::string_view::npos;) {
    const size_t end = text.find(">>", begin);
    if (end == std::string_view::npos) break;
    out += text.substr(0, begin);
    text.remove_prefix(end + 2);
  }
  return out + std::string(text);
}

std::string count_name(size_t count) {
  constexpr const char* kNames[] = {"no",  "one",   "two",   "three", "four", "five",
                                    "six", "seven", "eight", "nine",  "ten"};
  return count < std::size(kNames) ? kNames[count] : fmt::format("{}", count);
}

}  // namespace

std::string_view form_name(TaskForm form) {
  constexpr std::string_view kNames[] = {"gsm8k", "math", "mmlu", "gpqa", "commonsenseqa", "choices", "open"};
  return kNames[static_cast<size_t>(form)];
}

Task read_task(const std::string& name, const fs::path& path, uint64_t seed) {
  if (name.empty() || name.size() > kNameLimit || printable(name) != name || as_utf8(name) != name) {
    fail(path.string(), "a task's name is a line of 1 to {} bytes of UTF-8", kNameLimit);
  }
  Task task;
  task.name = name;
  task.path = path;
  Sha256 hash;
  std::error_code ignored;
  if (fs::is_directory(path, ignored)) {
    for (const fs::path& file : files_of(path)) read_into(task, file, subject_of(file), seed, hash);
  } else {
    read_into(task, path, "", seed, hash);
  }
  task.sha256 = hash.hex();
  task.policy = policy_of_form(task.form);
  task.system = task.form == TaskForm::Gsm8k ? kSimplePrompt : kBriefPrompt;
  check(task);
  return task;
}

fs::path find_task(const std::string& name, const fs::path& folder) {
  struct Known {
    std::string_view name;
    std::vector<const char*> places;
  };
  const Known known[] = {
      {"gsm8k", {"gsm8k.jsonl", "gsm8k_test.jsonl", "gsm8k/test.jsonl", "grade_school_math/data/test.jsonl"}},
      {"math500", {"math500.jsonl", "math_500.jsonl", "math500/test.jsonl", "MATH-500/test.jsonl"}},
      {"mmlu", {"mmlu/dev", "mmlu/data/dev", "data/dev"}},
      {"gpqa", {"gpqa_main.csv", "gpqa/gpqa_main.csv", "gpqa_diamond.csv", "gpqa/gpqa_diamond.csv"}},
      {"commonsenseqa", {"commonsenseqa.jsonl", "dev_rand_split.jsonl", "commonsenseqa/dev_rand_split.jsonl"}}};
  for (const Known& task : known) {
    if (task.name != name) continue;
    for (const char* place : task.places) {
      if (fs::exists(folder / place)) return folder / place;
    }
    fail(folder.string(), "has no {}: looked for {}", name, fmt::join(task.places, ", "));
  }
  for (const char* extension : {".jsonl", ".csv"}) {
    if (fs::exists(folder / (name + extension))) return folder / (name + extension);
  }
  fail(folder.string(), "has no task {}: no {}.jsonl or {}.csv; name its file by {}=FILE", name, name, name, name);
}

void limit_questions(Task& task, int64_t limit, uint64_t shuffle_seed) {
  std::vector<size_t> order(task.questions.size());
  std::iota(order.begin(), order.end(), size_t{0});
  if (shuffle_seed != 0) {
    Random random(shuffle_seed);
    for (size_t i = order.size(); i > 1; --i) {
      std::swap(order[i - 1], order[static_cast<size_t>(random.uniform() * static_cast<double>(i))]);
    }
  }
  if (limit > 0 && static_cast<size_t>(limit) < order.size()) order.resize(static_cast<size_t>(limit));
  std::vector<Question> kept;
  for (const size_t i : order) kept.push_back(std::move(task.questions[i]));
  task.questions = std::move(kept);
}

bool is_hidden(const Task& task) {
  return task.form == TaskForm::Gpqa;
}

std::string shown_of_hidden(const std::string& text) {
  constexpr size_t kShown = 80;
  return std::string(first_bytes(text, kShown));
}

std::string question_prompt(const Question& question) {
  if (question.choices.empty()) return question.text;
  std::string options, letters;
  for (size_t i = 0; i < question.choices.size(); ++i) {
    const char letter = static_cast<char>('A' + i);
    options += fmt::format("{}.{} ", letter, question.choices[i]);
    letters += i == 0 ? "" : i + 1 == question.choices.size() ? " or " : ", ";
    letters += letter;
  }
  return fmt::format(
      "{} You have {} options, and they are: {}Please select the correct option and just give {}. For example, if you "
      "think the answer is A, just give \\boxed{{A}} as the answer.",
      question.text, count_name(question.choices.size()), options, letters);
}

std::string example_answer(const Question& question) {
  std::string worked = question.solution, answer = question.gold;
  const size_t mark = question.gold.rfind("####");
  if (mark != std::string::npos) {
    answer = question.gold.substr(std::min(question.gold.find_first_not_of(' ', mark + 4), question.gold.size()));
    worked = without_notes(worked.substr(0, worked.rfind("####")));
  }
  if (!worked.empty() && worked.back() != '\n') worked += '\n';
  if (worked.find("\\boxed") != std::string::npos) return worked;
  return fmt::format("{}\\boxed{{{}}}", worked, answer);
}

}  // namespace gyro
