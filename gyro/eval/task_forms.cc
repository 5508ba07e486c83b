#include "gyro/eval/task_forms.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "gyro/base/error.h"
#include "gyro/base/random.h"
#include "gyro/base/sha256.h"
#include "gyro/eval/grade/normal.h"

namespace gyro {
namespace {

using Json = nlohmann::json;

constexpr size_t kMostChoices = 26;

// Calls `each(line, object)` for every line that is not empty, until it returns false.
template <typename Each>
void for_each_line(std::string_view subject, std::string_view text, const Each& each) {
  for (int64_t line = 1; !text.empty(); ++line) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view one = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (one.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    const Json json = Json::parse(one, nullptr, false);
    if (!json.is_object()) fail(std::string(subject), "line {}: is not a JSON object", line);
    if (!each(line, json)) return;
  }
}

// One record of a file, whose problems name its line.
class Record {
 public:
  Record(std::string_view subject, int64_t line, const Json& json) : subject_(subject), line_(line), json_(json) {}

  template <typename... Args>
  [[noreturn]] void reject(fmt::format_string<Args...> format, Args&&... args) const {
    fail(std::string(subject_), "line {}: {}", line_, fmt::format(format, std::forward<Args>(args)...));
  }

  const Json* find(const char* key) const {
    const auto it = json_.find(key);
    return it == json_.end() || it->is_null() ? nullptr : &*it;
  }
  // A text, or a number as it is written.
  std::optional<std::string> text(const char* key) const {
    const Json* value = find(key);
    if (value == nullptr) return std::nullopt;
    if (value->is_string()) return value->get<std::string>();
    if (value->is_number()) return value->dump();
    reject("\"{}\" is no text", key);
  }
  std::string needed(const char* key) const {
    std::optional<std::string> value = text(key);
    if (!value || value->empty()) reject("\"{}\" is missing", key);
    return std::move(*value);
  }

 private:
  std::string_view subject_;
  int64_t line_;
  const Json& json_;
};

std::string letter(size_t i) {
  return std::string(1, static_cast<char>('A' + i));
}

// The place of an answer that is a letter among choices, or one counted from 0.
std::string gold_letter(const Record& record, const Json& answer, size_t choices) {
  if (answer.is_number_unsigned() && answer.get<uint64_t>() < choices) return letter(answer.get<size_t>());
  if (answer.is_string()) {
    const auto& text = answer.get_ref<const std::string&>();
    if (text.size() == 1 && text[0] >= 'A' && static_cast<size_t>(text[0] - 'A') < choices) return text;
  }
  record.reject("the answer is none of the {} choices", choices);
}

std::vector<std::string> texts(const Record& record, const Json& list) {
  std::vector<std::string> out;
  for (const Json& choice : list) {
    const Json& text = choice.is_object() && choice.contains("text") ? choice["text"] : choice;
    if (text.is_string()) {
      out.push_back(text);
    } else if (text.is_number()) {
      out.push_back(text.dump());
    } else {
      record.reject("a choice is no text");
    }
  }
  if (out.size() < 2 || out.size() > kMostChoices) record.reject("has {} choices", out.size());
  return out;
}

// Labels, beside each choice or in a list of their own, must be A, B, C... for a letter to be a place.
void check_labels(const Record& record, const Json& choices) {
  std::vector<Json> labels;
  if (choices.is_object() && choices.contains("label")) {
    for (const Json& label : choices["label"]) labels.push_back(label);
  } else if (choices.is_array()) {
    for (const Json& choice : choices) {
      if (choice.is_object() && choice.contains("label")) labels.push_back(choice["label"]);
    }
  }
  for (size_t i = 0; i < std::min(labels.size(), kMostChoices); ++i) {
    if (labels[i] != letter(i)) record.reject("the choices' labels are not A, B, C and so on, in order");
  }
}

// Nested as the authors' file has it, or flat as the Hub's.
void read_commonsense(const Record& record, Question& question) {
  const Json* asked = record.find("question");
  const bool nested = asked != nullptr && asked->is_object();
  const Record inner = nested ? Record("", 0, *asked) : record;
  question.text = nested
                      ? (asked->contains("stem") && (*asked)["stem"].is_string() ? (*asked)["stem"].get<std::string>()
                                                                                 : std::string())
                      : record.needed("question");
  if (question.text.empty()) record.reject("\"question\" has no \"stem\"");
  const Json* choices = inner.find("choices");
  if (choices != nullptr) check_labels(record, *choices);
  if (choices != nullptr && choices->is_object() && choices->contains("text")) choices = &(*choices)["text"];
  if (choices == nullptr || !choices->is_array()) record.reject("has no list of choices");
  question.choices = texts(record, *choices);
  question.gold = gold_letter(record, Json(record.needed("answerKey")), question.choices.size());
}

Question read_record(const Record& record, TaskForm form) {
  Question question;
  if (form == TaskForm::CommonsenseQa) {
    read_commonsense(record, question);
  } else if (form == TaskForm::Choices) {
    question.text = record.needed("question");
    const Json* choices = record.find("choices");
    const Json* answer = record.find("answer");
    if (choices == nullptr || !choices->is_array() || answer == nullptr) record.reject("has no choices or no answer");
    question.choices = texts(record, *choices);
    question.gold = gold_letter(record, *answer, question.choices.size());
  } else {
    question.text = record.needed(form == TaskForm::Math ? "problem" : "question");
    question.gold = record.needed("answer");
    if (form == TaskForm::Gsm8k && question.gold.find("####") == std::string::npos) {
      record.reject("\"answer\" has no \"####\"");
    }
    question.solution = form == TaskForm::Gsm8k ? question.gold : record.text("solution").value_or("");
  }
  question.subject = record.text("subject").value_or("");
  for (const char* key : {"id", "unique_id"}) {
    if (question.id.empty()) question.id = record.text(key).value_or("");
  }
  return question;
}

// Where the columns of GPQA's file are.
struct Columns {
  size_t question, correct, wrong[3];
  std::optional<size_t> subject, id;
};

std::optional<size_t> column(const std::vector<std::string>& header, std::string_view name) {
  const auto it = std::ranges::find(header, name);
  return it == header.end() ? std::nullopt : std::optional(static_cast<size_t>(it - header.begin()));
}

Columns gpqa_columns(std::string_view subject, const std::vector<std::string>& header) {
  const auto needed = [&](std::string_view name) {
    const std::optional<size_t> at = column(header, name);
    if (!at) fail(std::string(subject), "has no column \"{}\"", name);
    return *at;
  };
  return {needed("Question"),
          needed("Correct Answer"),
          {needed("Incorrect Answer 1"), needed("Incorrect Answer 2"), needed("Incorrect Answer 3")},
          column(header, "High-level domain"),
          column(header, "Record ID")};
}

// The order hangs on the question's text alone, so that it is the same in any subset of the file.
void shuffle_choices(Question& question, uint64_t seed) {
  Sha256 hash;
  hash.update(question.text);
  Random random(mix64(seed ^ std::stoull(hash.hex().substr(0, 16), nullptr, 16)));
  size_t right = 0;
  for (size_t i = question.choices.size(); i > 1; --i) {
    const auto j = static_cast<size_t>(random.uniform() * static_cast<double>(i));
    std::swap(question.choices[i - 1], question.choices[j]);
    if (right == i - 1) {
      right = j;
    } else if (right == j) {
      right = i - 1;
    }
  }
  question.gold = letter(right);
}

Question gpqa_question(const std::vector<std::string>& record, const Columns& at, uint64_t seed) {
  Question question;
  question.text = grading::trimmed(record[at.question]);
  question.choices = {std::string(grading::trimmed(record[at.correct]))};
  for (const size_t wrong : at.wrong) question.choices.emplace_back(grading::trimmed(record[wrong]));
  if (at.subject) question.subject = record[*at.subject];
  if (at.id) question.id = record[*at.id];
  shuffle_choices(question, seed);
  return question;
}

Question mmlu_question(std::string_view subject, size_t number, const std::vector<std::string>& record) {
  if (record.size() != 6) {
    fail(std::string(subject), "record {}: has {} fields, not a question, four choices and a letter", number,
         record.size());
  }
  const std::string gold(grading::trimmed(record[5]));
  if (gold.size() != 1 || gold[0] < 'A' || gold[0] > 'D') {
    fail(std::string(subject), "record {}: the answer \"{}\" is none of A to D", number, printable(gold, 40));
  }
  Question question;
  question.text = record[0];
  question.choices.assign(record.begin() + 1, record.begin() + 5);
  question.gold = gold;
  return question;
}

}  // namespace

TaskForm jsonl_form(std::string_view subject, std::string_view text) {
  std::optional<TaskForm> form;
  for_each_line(subject, text, [&](int64_t, const Json& json) {
    const auto has = [&](const char* key) { return json.contains(key); };
    if (has("answerKey")) {
      form = TaskForm::CommonsenseQa;
    } else if (has("problem")) {
      form = TaskForm::Math;
    } else if (has("choices")) {
      form = TaskForm::Choices;
    } else if (has("question") && has("answer")) {
      const Json& answer = json["answer"];
      const bool worked = answer.is_string() && answer.get_ref<const std::string&>().find("####") != std::string::npos;
      form = worked ? TaskForm::Gsm8k : TaskForm::Open;
    } else {
      fail(std::string(subject), "line 1 has none of: question and answer, problem, choices, answerKey");
    }
    return false;
  });
  if (!form) fail(std::string(subject), "has no questions");
  return *form;
}

std::vector<Question> read_jsonl(std::string_view subject, std::string_view text, TaskForm form) {
  std::vector<Question> questions;
  for_each_line(subject, text, [&](int64_t line, const Json& json) {
    questions.push_back(read_record(Record(subject, line, json), form));
    return true;
  });
  return questions;
}

TaskForm csv_form(std::string_view subject, const CsvRecords& records) {
  if (records.empty()) fail(std::string(subject), "has no questions");
  return column(records[0], "Correct Answer") ? TaskForm::Gpqa : TaskForm::Mmlu;
}

std::vector<Question> read_csv_questions(std::string_view subject, const CsvRecords& records, TaskForm form,
                                         const std::string& subject_name, uint64_t seed) {
  std::vector<Question> questions;
  if (form == TaskForm::Gpqa) {
    const Columns columns = gpqa_columns(subject, records.at(0));
    for (size_t i = 1; i < records.size(); ++i) {
      if (records[i].size() != records[0].size()) {
        fail(std::string(subject), "record {}: has {} fields, the header {}", i + 1, records[i].size(),
             records[0].size());
      }
      questions.push_back(gpqa_question(records[i], columns, seed));
    }
    return questions;
  }
  for (size_t i = 0; i < records.size(); ++i) {
    questions.push_back(mmlu_question(subject, i + 1, records[i]));
    questions.back().subject = subject_name;
  }
  return questions;
}

}  // namespace gyro
