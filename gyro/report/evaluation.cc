#include "gyro/report/evaluation.h"

#include <algorithm>
#include <set>

#include "gyro/base/error.h"
#include "gyro/base/file.h"
#include "gyro/diff/result.h"

namespace gyro {
namespace {

namespace fs = std::filesystem;

constexpr size_t kLargestDocument = size_t{1} << 30;

void check(bool holds) {
  if (!holds) throw std::domain_error("not an evaluation");
}

bool is_name(const Json& json) {
  return json.is_string() && !json.get_ref<const std::string&>().empty();
}

// Names of a list of objects, which are all different.
std::vector<std::string> names_of(const Json& list) {
  check(list.is_array() && !list.empty());
  std::vector<std::string> names;
  for (const Json& one : list) {
    check(is_name(one.at("name")));
    names.push_back(one.at("name"));
  }
  check(std::set<std::string>(names.begin(), names.end()).size() == names.size());
  return names;
}

void check_numbers(const Json& object, std::initializer_list<const char*> keys) {
  check(object.is_object());
  for (const char* key : keys) check(object.at(key).is_number() || object.at(key).is_null());
}

void check_cell(const Json& cell) {
  for (const char* key : {"accuracy", "accuracy_flexible"}) check_numbers(cell.at(key), {"mean", "low", "high"});
  check_numbers(cell, {"decoding_noise", "tokens", "tokens_noise", "truncated", "no_answer"});
  for (const char* key : {"questions", "repeats"}) check(cell.at(key).is_number_unsigned() && cell.at(key) > 0);
  check(cell.at("collapsed").is_boolean());
  const Json& against = cell.at("against_first");
  if (against.is_null()) return;
  check_numbers(against, {"difference", "low", "high", "p", "p_adjusted", "detectable"});
  check(against.at("test").is_string());
}

// Each variant's answers to each task, once.
void check_cells(const Json& cells, const std::vector<std::string>& variants, const std::vector<std::string>& tasks) {
  check(cells.is_array() && cells.size() == variants.size() * tasks.size());
  std::set<std::pair<std::string, std::string>> seen;
  for (const Json& cell : cells) {
    const std::pair<std::string, std::string> place = {cell.at("variant"), cell.at("task")};
    check(std::ranges::find(variants, place.first) != variants.end());
    check(std::ranges::find(tasks, place.second) != tasks.end());
    check(seen.insert(place).second);
    check_cell(cell);
  }
}

void check_matrix(const Json& matrix, const std::vector<std::string>& variants) {
  const Json& ids = matrix.at("ids");
  check(ids.is_array() && !ids.empty());
  std::set<std::string> different;
  for (const Json& id : ids) check(id.is_string() && different.insert(id).second);
  for (const std::string& variant : variants) {
    const Json& right = matrix.at("right").at(variant);
    check(right.is_array() && right.size() == ids.size());
    for (const Json& share : right) check(share.is_number() && share >= 0.0 && share <= 1.0);
  }
}

// The parts that the page is built upon; what else is missing shows as a dash.
void check_document(const Json& document) {
  const std::vector<std::string> variants = names_of(document.at("variants")), tasks = names_of(document.at("tasks"));
  check_cells(document.at("cells"), variants, tasks);
  for (const std::string& task : tasks) check_matrix(document.at("matrix").at(task), variants);
  check(document.at("options").is_object() && document.at("models").is_array());
  const Json settings = document.value("settings", Json::array());
  check(settings.is_array());
  for (const Json& line : settings) check(line.is_string());
  for (const Json& model : document.at("models")) check(model.at("role").is_string() && model.at("path").is_string());
}

}  // namespace

Json parse_evaluation(const std::string& subject, std::string_view text) {
  bool unfinished = false;
  try {
    Json document = parse_document(subject, text);
    check(document.at("schema") == "gyro.eval/1" && document.at("finished").is_boolean());
    unfinished = document.at("finished") == false;
    if (!unfinished) {
      check_document(document);
      return document;
    }
  } catch (const std::exception&) {
    fail(subject, "is not an evaluation of gyro eval");
  }
  fail(subject, "is of an evaluation that has not ended: the same gyro eval command goes on with it");
}

std::optional<EvaluationInput> read_evaluation(const fs::path& folder) {
  const fs::path file = folder / "eval.json", samples = folder / "samples.jsonl";
  std::error_code ignored;
  if (!fs::exists(file, ignored)) return std::nullopt;
  Json document = parse_evaluation(file.string(), read_file(file, kLargestDocument));
  return EvaluationInput{folder.string(), std::move(document), fs::exists(samples, ignored) ? samples : fs::path()};
}

ChosenQuestions choose_questions(const std::vector<std::vector<double>>& right, const std::vector<bool>& collapsed,
                                 size_t parted, size_t each_agreed) {
  const size_t variants = right.size(), questions = right.at(0).size();
  ChosenQuestions chosen;
  std::vector<std::pair<size_t, size_t>> evenness;  // how many are on the smaller side, the question
  std::vector<size_t> all_right, all_wrong;
  for (size_t question = 0; question < questions; ++question) {
    size_t answer = 0, heard = 0, heard_right = 0;
    for (size_t variant = 0; variant < variants; ++variant) {
      const bool is_right = right[variant][question] >= 0.5;
      answer += is_right;
      if (collapsed[variant]) continue;
      ++heard;
      heard_right += is_right;
    }
    const size_t fewer = std::min(answer, variants - answer);
    if (heard > 0 && heard_right == heard) {
      all_right.push_back(question);
    } else if (heard > 0 && heard_right == 0) {
      all_wrong.push_back(question);
    } else if (fewer > 0) {
      evenness.emplace_back(fewer, question);
    }
  }
  std::ranges::stable_sort(evenness, [](const auto& a, const auto& b) { return a.first > b.first; });
  for (const auto& [fewer, question] : evenness) {
    if (chosen.parted.size() < parted) chosen.parted.push_back(question);
  }
  for (const auto* some : {&all_right, &all_wrong}) {
    for (size_t i = 0; i < std::min(each_agreed, some->size()); ++i) chosen.agreed.push_back((*some)[i]);
  }
  return chosen;
}

std::string evaluation_name(const Json& document) {
  const auto is_pair = [](const Json& model) { return model["role"] == "base" || model["role"] == "post"; };
  const Json& models = document["models"];
  const bool pair = std::ranges::any_of(models, is_pair);
  std::string name;
  for (const Json& model : models) {
    if (pair && !is_pair(model)) continue;
    const std::string path = fs::path(model["path"].get<std::string>()).lexically_normal().string();
    const std::string last = printable(short_name(path.ends_with('/') ? path.substr(0, path.size() - 1) : path), 80);
    name += (name.empty() ? "" : " → ") + last;
  }
  return name.empty() ? "?" : name;
}

}  // namespace gyro
