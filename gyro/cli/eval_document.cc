#include "gyro/cli/eval_document.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "gyro/base/error.h"
#include "gyro/base/file.h"
#include "gyro/base/sha256.h"
#include "gyro/base/version.h"
#include "gyro/cli/eval_tables.h"
#include "gyro/eval/sample.h"

namespace gyro {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr size_t kDocumentLimit = size_t{1} << 30;

// What answers hang on, but the variants: those may come and go. Paths are not of it.
Json asked(const EvalDocument& document, const EvalRequest& request) {
  Json models = Json::array(), tasks = Json::array();
  for (const EvalModelName& model : document.models) models.push_back({model.role, model.identity});
  for (const EvalTask& task : request.tasks) {
    Json ids = Json::array(), examples = Json::array();
    for (const Question& question : task.task.questions) ids.push_back(question.id);
    for (const Question& example : task.examples) {
      examples.push_back(question_prompt(example) + "\n" + example_answer(example));
    }
    tasks.push_back({{"name", task.task.name},
                     {"sha256", task.task.sha256},
                     {"policy", std::string(grading::policy_name(task.task.policy))},
                     {"system", task.task.system},
                     {"ids", ids},
                     {"examples", request.options.few_shot > 0 ? examples : Json::array()}});
  }
  const EvalOptions& options = request.options;
  Json json = {{"models", models},
               {"dtype", document.dtype.empty() ? Json(nullptr) : Json(document.dtype)},
               {"device", document.device.empty() ? Json(nullptr) : Json(document.device)},
               {"pre", document.pre.empty() ? Json(nullptr) : Json(document.pre)},
               {"tasks", tasks},
               {"temperature", options.completion.sampler.temperature},
               {"top_p", options.completion.sampler.top_p},
               {"seed", options.completion.sampler.seed},
               {"max_tokens", options.completion.max_tokens},
               {"repeats", options.repeats},
               {"few_shot", options.few_shot},
               {"few_shot_turns", options.few_shot_turns}};
  if (!document.date.empty()) json["date"] = document.date;
  return json;
}

// Paths and prompts of a user may be no UTF-8.
std::string dumped(const Json& json, int indent) {
  return json.dump(indent, ' ', false, Json::error_handler_t::replace);
}

std::string fingerprint(const EvalDocument& document, const EvalRequest& request) {
  return document_fingerprint(asked(document, request));
}

Json options_json(const EvalDocument& document, const EvalRequest& request) {
  Json json = asked(document, request);
  json.erase("models");
  json.erase("tasks");
  json["concurrency"] = request.options.completion.concurrency;
  return json;
}

Json head(const EvalDocument& document, const EvalRequest& request) {
  Json models = Json::array(), tasks = Json::array(), variants = Json::array();
  for (const EvalModelName& model : document.models) {
    models.push_back({{"role", model.role}, {"path", model.path}, {"identity", model.identity}});
  }
  for (const EvalTask& task : request.tasks) {
    tasks.push_back({{"name", task.task.name},
                     {"form", std::string(form_name(task.task.form))},
                     {"policy", std::string(grading::policy_name(task.task.policy))},
                     {"path", task.task.path.string()},
                     {"sha256", task.task.sha256},
                     {"questions", task.task.questions.size()},
                     {"system", task.task.system}});
  }
  for (size_t i = 0; i < request.variants.size(); ++i) {
    variants.push_back({{"name", request.variants[i]},
                        {"description", i < document.variants.size() ? Json(document.variants[i]) : Json(nullptr)}});
  }
  return {{"schema", "gyro.eval/1"},
          {"gyro", {{"version", std::string(version())}}},
          {"fingerprint", fingerprint(document, request)},
          {"finished", false},
          {"options", options_json(document, request)},
          {"settings", document.settings},
          {"models", models},
          {"tasks", tasks},
          {"variants", variants}};
}

// Whether all that the folder has is of gyro diff and gyro probe, beside which an evaluation may lie: the report shows
// all of them.
bool is_of_others(const fs::path& folder) {
  constexpr std::array names = {"result.json", "arrays.safetensors", ".gyro-journal",         "attention.json",
                                "cka.json",    "drift.json",         "attention.safetensors", "rotation.json",
                                "claims.json", "questions.jsonl",    "report.html",           "plotly.min.js"};
  return std::ranges::all_of(fs::directory_iterator(folder), [&](const fs::directory_entry& entry) {
    return std::ranges::find(names, entry.path().filename().string()) != names.end();
  });
}

std::string drawing_line(const EvalOptions& options) {
  return fmt::format("temperature {:g}, top-p {:g}, at most {} tokens, {} repeat{}, seed {}",
                     options.completion.sampler.temperature, options.completion.sampler.top_p,
                     options.completion.max_tokens, options.repeats, options.repeats == 1 ? "" : "s",
                     options.completion.sampler.seed);
}

}  // namespace

std::string document_fingerprint(const Json& value) {
  const std::string text = dumped(value, -1);
  Sha256 hash;
  hash.update(text);
  return hash.hex();
}

bool has_fingerprint(const fs::path& file, const std::string& print) {
  const Json json = Json::parse(read_file(file, kDocumentLimit), nullptr, false);
  const auto at = json.is_object() ? json.find("fingerprint") : json.end();
  return json.is_object() && at != json.end() && at->is_string() && at->get_ref<const std::string&>() == print;
}

std::string file_identity(const fs::path& file) {
  const MappedFile mapped(file);
  Sha256 hash;
  hash.update(mapped.bytes());
  mapped.check();
  return hash.hex();
}

std::string model_identity(const TensorSource& source) {
  constexpr size_t kLimit = size_t{1} << 28;
  Sha256 hash;
  const auto take = [&](const std::string& text) { hash.update(text); };
  take(source.identity());
  const std::vector<std::string> names = source.companions();
  for (const char* name : {"config.json", "generation_config.json", "tokenizer.json", "tokenizer.model",
                           "tokenizer_config.json", "chat_template.jinja"}) {
    if (std::ranges::find(names, name) == names.end()) continue;
    take(name);
    take(source.companion(name, kLimit));
  }
  return hash.hex();
}

std::string told_date(const ChatModel& model) {
  if (!model.chat_template || !model.chat_template->asks_the_date() || !model.context.now) return "";
  return fmt::format("{:%Y-%m-%d}", fmt::localtime(*model.context.now));
}

std::vector<std::string> settings_lines(const EvalRequest& request, const ChatModel& model) {
  std::vector<std::string> lines = {drawing_line(request.options)};
  lines.push_back(fmt::format("questions are put by {}", style_name(prompt_style(model))));
  if (!told_date(model).empty()) {
    lines.push_back(fmt::format("the template, which asks for the date, is told that it is {:%d %B %Y}",
                                fmt::localtime(model.context.now.value())));
  }
  lines.push_back(
      fmt::format("of the model's generation_config.json only the tokens that end an answer are taken ({}), its way of "
                  "drawing is not",
                  fmt::join(model.ends, ", ")));
  if (!model.loaded.engine.on_gpu()) return lines;
  lines.emplace_back("on a GPU answers may hang on what else is computed at the same time");
  return lines;
}

std::vector<std::string> server_settings(const EvalRequest& request, const std::vector<EvalModelName>& models) {
  const EvalModelName &server = models.at(0), &model = models.at(1);
  const std::string name = printable(model.path), listed = printable(model.identity);
  return {drawing_line(request.options),
          fmt::format("questions are put to {} at {}{}", name, server.path,
                      listed == name ? "" : fmt::format(", which lists {} alone", listed)),
          "the server renders them by its own template, and may take what is not asked for from defaults of its own",
          "answers may hang on what else the server computes at the same time; lengths are as it counts them"};
}

fs::path open_eval_folder(const fs::path& folder, const EvalDocument& document, const EvalRequest& request,
                          bool force) {
  std::error_code ignored;
  const fs::path file = folder / "eval.json";
  fs::path samples = folder / "samples.jsonl";
  const std::string print = fingerprint(document, request);
  const bool is_there = fs::exists(folder, ignored);
  if (is_there && !fs::is_directory(folder, ignored)) fail(folder.string(), "is no folder");
  const bool begun = fs::exists(file, ignored), same = begun && has_fingerprint(file, print);
  const bool empty = !is_there || fs::is_empty(folder, ignored);
  if (!empty && !(begun ? same : is_of_others(folder)) && !force) {
    fail({ErrorKind::Input, "force"}, folder.string(), "has {}",
         begun ? "an evaluation of other models, tasks or options" : "files that are of no evaluation");
  }
  fs::create_directories(folder, ignored);
  SampleWriter writer(samples);  // so that no other run is in this folder
  if (same) return samples;      // what it has stands until there is more
  writer.go_on_at(0);
  for (const char* old : {"tables.md", "tables.tex"}) fs::remove(folder / old, ignored);
  write_file_atomically(file, dumped(head(document, request), 1) + "\n");
  return samples;
}

std::string eval_json(const EvalDocument& document, const EvalRequest& request, const std::vector<EvalCell>& cells,
                      const std::vector<Score>& scores) {
  Json json = head(document, request);
  json["finished"] = true;
  json["cells"] = cells_json(cells);
  json["matrix"] = matrix_json(request, scores);
  return dumped(json, 1) + "\n";
}

void write_eval_folder(const fs::path& folder, const std::string& json, const std::vector<EvalCell>& cells) {
  std::string markdown, latex;
  for (const Table& table : {accuracy_table(cells), length_table(cells)}) {
    markdown += markdown_table(table) + "\n";
    latex += latex_table(table) + "\n";
  }
  for (size_t i = 0; i < cells.size() && cells[i].variant == cells[0].variant; ++i) {
    markdown += markdown_table(task_table(cells, cells[i].task)) + "\n";
  }
  for (const std::string& note : table_notes(cells)) markdown += note + "\n\n";
  write_file_atomically(folder / "eval.json", json);
  write_file_atomically(folder / "tables.md", markdown);
  write_file_atomically(folder / "tables.tex", latex);
}

}  // namespace gyro
