#include <algorithm>
#include <array>
#include <cmath>
#include <map>

#include "gyro/base/error.h"
#include "gyro/base/file.h"
#include "gyro/report/evaluation.h"
#include "gyro/report/input.h"
#include "gyro/report/page_parts.h"

namespace gyro {
namespace {

constexpr size_t kParted = 8, kEachAgreed = 2;  // questions of all tasks together whose answers are shown
constexpr std::array kQuantiles = {0.05, 0.25, 0.5, 0.75, 0.95};
constexpr size_t kLongestLine = size_t{1} << 26;

// How many bytes of texts go into the page.
struct TextDetail {
  size_t question, shown_question, answer;
};
constexpr std::array kDetails = {TextDetail{160, 4000, 6000}, TextDetail{120, 2000, 2500}, TextDetail{80, 1000, 1000},
                                 TextDetail{0, 400, 300}};

constexpr std::array kNumberKeys = {"questions",    "repeats",   "decoding_noise", "tokens",
                                    "tokens_noise", "truncated", "no_answer",      "collapsed"};
constexpr std::array kAccuracyKeys = {"mean", "low", "high", "clusters"};
constexpr std::array kAgainstKeys = {"difference", "low", "high", "p", "p_adjusted", "detectable", "test"};
constexpr std::array kOptionKeys = {"dtype", "temperature", "top_p", "seed", "max_tokens", "repeats", "few_shot"};
constexpr std::array kTaskKeys = {"name", "form", "policy", "questions", "system", "sha256"};

// Where variants, tasks and questions stand.
struct Places {
  std::map<std::string, size_t> variants, tasks;
  std::vector<std::map<std::string, size_t>> questions;  // of each task
};

Places places_of(const Json& document) {
  Places places;
  for (const Json& variant : document["variants"]) places.variants.emplace(variant["name"], places.variants.size());
  for (const Json& task : document["tasks"]) {
    places.tasks.emplace(task["name"], places.tasks.size());
    auto& questions = places.questions.emplace_back();
    for (const Json& id : document["matrix"][task["name"].get<std::string>()]["ids"]) {
      questions.emplace(id, questions.size());
    }
  }
  return places;
}

// A text's beginning and end, and how many bytes between them were left out.
struct Excerpt {
  std::string begin, end;
  size_t left_out = 0;
};

Excerpt excerpt(const std::string& text, size_t limit) {
  if (text.size() <= limit) return {text, "", 0};
  size_t from = limit * 2 / 3, to = text.size() - limit / 3;
  while (from > 0 && continues(text[from])) --from;
  while (to < text.size() && continues(text[to])) ++to;
  return {text.substr(0, from), text.substr(to), to - from};
}

// What samples.jsonl has of the evaluation.
struct Digest {
  std::vector<std::vector<std::vector<int64_t>>> tokens;  // [task][variant]: lengths that are known
  std::vector<std::vector<std::string>> texts;            // [task][question]
  std::map<std::array<size_t, 3>, Json> answers;          // of chosen questions: task, question, variant; first repeat
};

// A line whose variant, task or question is not the evaluation's (an earlier run had more) is passed over.
void take(const Json& sample, const Places& places, const std::vector<ChosenQuestions>& chosen, Digest& digest) {
  const auto variant = places.variants.find(sample.at("variant").get_ref<const std::string&>());
  const auto task = places.tasks.find(sample.at("task").get_ref<const std::string&>());
  if (variant == places.variants.end() || task == places.tasks.end()) return;
  const auto& questions = places.questions[task->second];
  const auto question = questions.find(sample.at("id").get_ref<const std::string&>());
  if (question == questions.end()) return;
  const Json& tokens = sample.at("tokens");
  if (tokens.is_number_integer()) digest.tokens[task->second][variant->second].push_back(tokens);
  std::string& text = digest.texts[task->second][question->second];
  if (text.empty()) text = beginning(sample.at("question"), kDetails.front().shown_question);
  const ChosenQuestions& shown = chosen[task->second];
  const bool wanted = std::ranges::find(shown.parted, question->second) != shown.parted.end() ||
                      std::ranges::find(shown.agreed, question->second) != shown.agreed.end();
  if (!wanted || sample.at("repeat") != 0) return;
  digest.answers[{task->second, question->second, variant->second}] = {
      {"output", sample.at("output").get<std::string>()},
      {"verdict", sample.at("verdict").get<std::string>()},
      {"verdict_flexible", sample.at("verdict_flexible").get<std::string>()},
      {"rule", sample.at("rule").get<std::string>()},
      {"extracted", beginning(sample.at("extracted"), 200)},
      {"tokens", tokens.is_number_integer() ? tokens : Json()},
      {"cut", sample.at("finish") == "length"}};
}

Digest read_digest(const EvaluationInput& input, const Places& places, const std::vector<ChosenQuestions>& chosen) {
  Digest digest;
  for (const auto& questions : places.questions) {
    digest.tokens.emplace_back(places.variants.size());
    digest.texts.emplace_back(questions.size());
  }
  const MappedFile mapped(input.samples);
  const std::string_view text(reinterpret_cast<const char*>(mapped.bytes().data()), mapped.bytes().size());
  const std::string subject = input.samples.string();
  size_t at = 0;
  for (int64_t line = 1;; ++line) {
    const size_t end = text.find('\n', at);
    if (end == text.npos) break;  // a last line that is not whole, as a killed run leaves it, is no sample
    try {
      if (end - at > kLongestLine) throw std::length_error("no sample");
      take(parse_document(subject, text.substr(at, end - at)), places, chosen, digest);
    } catch (const std::exception&) {
      mapped.check();
      fail(subject, "line {} is no sample", line);
    }
    at = end + 1;
  }
  mapped.check();
  return digest;
}

std::vector<std::vector<double>> right_of(const Json& document, const std::string& task) {
  std::vector<std::vector<double>> right;
  for (const Json& variant : document["variants"]) {
    right.push_back(document["matrix"][task]["right"][variant["name"].get<std::string>()].get<std::vector<double>>());
  }
  return right;
}

Json cell_json(const Json& cell) {
  Json out = picked(cell, kNumberKeys);
  out["accuracy"] = picked(cell["accuracy"], kAccuracyKeys);
  out["accuracy_flexible"] = picked(cell["accuracy_flexible"], kAccuracyKeys);
  const Json& against = cell["against_first"];
  out["against"] = against.is_null() ? Json() : picked(against, kAgainstKeys);
  return out;
}

// [task][variant], whatever their order in the document.
Json cells_grid(const Json& document, const Places& places) {
  Json grid = Json::array();
  for (size_t task = 0; task < places.tasks.size(); ++task) {
    grid.push_back(std::vector<Json>(places.variants.size()));
  }
  for (const Json& cell : document["cells"]) {
    grid[places.tasks.at(cell["task"])][places.variants.at(cell["variant"])] = cell_json(cell);
  }
  return grid;
}

std::vector<ChosenQuestions> choose(const Json& document, const Json& cells) {
  std::vector<ChosenQuestions> chosen;
  const size_t tasks = document["tasks"].size();
  for (size_t task = 0; task < tasks; ++task) {
    std::vector<bool> collapsed;
    for (const Json& cell : cells[task]) collapsed.push_back(cell["collapsed"]);
    chosen.push_back(choose_questions(right_of(document, document["tasks"][task]["name"]), collapsed,
                                      std::max<size_t>(1, kParted / tasks), std::max<size_t>(1, kEachAgreed / tasks)));
  }
  return chosen;
}

Json lengths_of(std::vector<int64_t> tokens) {
  if (tokens.empty()) return nullptr;
  std::ranges::sort(tokens);
  Json quantiles = Json::array();
  for (const double share : kQuantiles) {
    quantiles.push_back(tokens[static_cast<size_t>(std::lround(share * static_cast<double>(tokens.size() - 1)))]);
  }
  return {{"answers", tokens.size()}, {"quantiles", quantiles}};
}

Json matrix_json(const Json& document, const std::string& task, const std::vector<std::string>* texts,
                 const TextDetail& detail) {
  Json right = Json::array(), begins = Json::array();
  for (const Json& variant : document["variants"]) {
    Json row = Json::array();
    // Shares of repeats: three digits tell them apart up to a thousand.
    for (const double share : document["matrix"][task]["right"][variant["name"].get<std::string>()]) {
      row.push_back(std::round(share * 1e4) / 1e4);
    }
    right.push_back(std::move(row));
  }
  if (texts != nullptr && detail.question > 0) {
    for (const std::string& text : *texts) begins.push_back(beginning(text, detail.question));
  }
  return {{"ids", document["matrix"][task]["ids"]}, {"texts", std::move(begins)}, {"right", std::move(right)}};
}

Json answer_json(Json answer, const TextDetail& detail) {
  const Excerpt output = excerpt(answer["output"], detail.answer);
  answer.erase("output");
  answer["begin"] = output.begin;
  answer["end"] = output.end;
  answer["left_out"] = output.left_out;
  return answer;
}

Json examples_json(const Digest& digest, const std::vector<ChosenQuestions>& chosen, size_t variants,
                   const TextDetail& detail) {
  Json examples = Json::array();
  for (size_t task = 0; task < chosen.size(); ++task) {
    for (const auto& [questions, parted] : {std::pair{&chosen[task].parted, true}, {&chosen[task].agreed, false}}) {
      for (const size_t question : *questions) {
        Json answers = Json::array();
        for (size_t variant = 0; variant < variants; ++variant) {
          const auto it = digest.answers.find({task, question, variant});
          answers.push_back(it == digest.answers.end() ? Json() : answer_json(it->second, detail));
        }
        examples.push_back({{"task", task},
                            {"question", question},
                            {"parted", parted},
                            {"text", beginning(digest.texts[task][question], detail.shown_question)},
                            {"answers", std::move(answers)}});
      }
    }
  }
  return examples;
}

}  // namespace

Json evaluation_data(const EvaluationInput& input, int64_t result, size_t budget) {
  const Json& document = input.document;
  const Places places = places_of(document);
  Json json = {{"result", result < 0 ? Json() : Json(result)},
               {"name", evaluation_name(document)},
               {"folder", printable(folder_name(input.folder), 80)},
               {"version", Json()},
               {"options", picked(document["options"], kOptionKeys)},
               {"settings", document.value("settings", Json::array())},
               {"models", Json::array()},
               {"tasks", Json::array()},
               {"variants", Json::array()},
               {"cells", cells_grid(document, places)}};
  const auto gyro = document.find("gyro");
  if (gyro != document.end() && gyro->is_object()) json["version"] = gyro->value("version", Json());
  for (const Json& model : document["models"]) {
    json["models"].push_back({{"role", model["role"]},
                              {"name", evaluation_name({{"models", {{{"role", "model"}, {"path", model["path"]}}}}})},
                              {"identity", model.value("identity", Json())}});
  }
  for (const Json& task : document["tasks"]) json["tasks"].push_back(picked(task, kTaskKeys));
  for (const Json& variant : document["variants"]) {
    json["variants"].push_back(picked(variant, std::array{"name", "description"}));
  }
  const std::vector<ChosenQuestions> chosen = choose(document, json["cells"]);
  std::optional<Digest> digest;
  if (!input.samples.empty()) digest = read_digest(input, places, chosen);
  json["lengths"] = nullptr;
  if (digest) {
    json["lengths"] = Json::array();
    for (auto& task : digest->tokens) {
      Json& row = json["lengths"].emplace_back(Json::array());
      for (auto& tokens : task) row.push_back(lengths_of(std::move(tokens)));
    }
  }
  for (const TextDetail& detail : kDetails) {
    json["matrix"] = Json::array();
    for (size_t task = 0; task < places.tasks.size(); ++task) {
      json["matrix"].push_back(
          matrix_json(document, document["tasks"][task]["name"], digest ? &digest->texts[task] : nullptr, detail));
    }
    json["examples"] = digest ? examples_json(*digest, chosen, places.variants.size(), detail) : Json::array();
    if (script_bytes(json) <= budget) return json;
  }
  throw ReportTooLarge("report", fmt::format("the evaluation of {} has too many questions and variants for one page",
                                             printable(input.folder)));
}

}  // namespace gyro
