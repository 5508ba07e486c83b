#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "gyro/base/error.h"
#include "gyro/base/team.h"
#include "gyro/base/version.h"
#include "gyro/cli/commands.h"
#include "gyro/cli/eval_document.h"
#include "gyro/cli/interrupt.h"
#include "gyro/cli/parse.h"
#include "gyro/cli/probe.h"
#include "gyro/cli/subjects.h"

namespace gyro {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

// Whether it is a file, NAME=FILE, or is written as one that should be there. A '/' may be of a fraction.
bool names_file(const std::string& text) {
  std::error_code ignored;  // a long question is no name of a file
  const size_t equals = text.find('=');
  for (const fs::path& path : {fs::path(text), fs::path(text.substr(equals == std::string::npos ? 0 : equals + 1))}) {
    if (fs::exists(path, ignored) || path.is_absolute()) return true;
    const fs::path first = path.begin() == path.end() ? fs::path() : *path.begin();
    if (first != path && fs::is_directory(first, ignored)) return true;
    if (path.extension() == ".jsonl" || path.extension() == ".json" || path.extension() == ".csv") return true;
  }
  return false;
}

// "a.jsonl,gsm8k" is two; a text with spaces is one, whatever commas it has.
std::vector<std::string> split_questions(const std::vector<std::string>& words) {
  std::vector<std::string> out;
  for (const std::string& word : words) {
    const std::vector<std::string> parts = CLI::detail::split(word, ',');
    const bool is_text = word.find(' ') != std::string::npos && !std::ranges::all_of(parts, names_file);
    if (is_text) {
      out.push_back(word);
    } else {
      out.insert(out.end(), parts.begin(), parts.end());
    }
  }
  return out;
}

// A file's questions, or the text itself where it is no file and none is meant.
Task probe_task(const std::string& text, const ProbeArguments& arguments) {
  Task task;
  if (text.find(' ') != std::string::npos && !names_file(text)) {
    task.name = "question";
    task.system = kSimplePrompt;
    task.questions.push_back({"0", text, {}, "", "", ""});
  } else {
    task = named_task(text, arguments.data, arguments.seed);
    limit_questions(task, arguments.count, arguments.shuffle_seed);
    task.system = kSimplePrompt;  // App. H.1: for all that is looked at, whatever the task
  }
  if (arguments.command->count("--system") > 0) task.system = arguments.system;
  return task;
}

std::vector<Task> probe_tasks(const ProbeArguments& arguments) {
  std::vector<Task> tasks;
  for (const std::string& text : split_questions(arguments.questions)) {
    tasks.push_back(probe_task(text, arguments));
    for (size_t i = 0; i + 1 < tasks.size(); ++i) {
      if (tasks[i].name == tasks.back().name) {
        throw CLI::ValidationError("--question", "has " + tasks.back().name + " twice: name one by NAME=FILE");
      }
    }
  }
  return tasks;
}

void check_variants(const ProbeArguments& arguments) {
  if (!arguments.base.empty()) return;
  if (!arguments.variants.empty()) throw CLI::ValidationError("--variants", "needs --base");
  if (!arguments.sibling.empty()) throw CLI::ValidationError("--sibling", "needs --base");
}

Json models_json(const ProbeArguments& arguments, const Probed& probed) {
  Json models = Json::array();
  const auto add = [&](const char* role, const std::string& path, const std::string& identity) {
    models.push_back({{"role", role}, {"path", path}, {"identity", identity}});
  };
  if (probed.base) add("base", arguments.base, model_identity(*probed.base));
  const auto& post = probed.chat.loaded.source;
  add("post", arguments.engine.model, post ? model_identity(*post) : file_identity(arguments.engine.model));
  if (!arguments.sibling.empty())
    add("sibling", arguments.sibling, model_identity(*open_subject(arguments.sibling, true, probed.base)));
  for (const std::string& path : arguments.models) {
    const bool gguf = fs::path(path).extension() == ".gguf";
    add("model", path, gguf ? file_identity(path) : model_identity(*open_subject(path, true, probed.base)));
  }
  return models;
}

std::string fingerprint(const std::string& schema, const Json& options, const Json& models, const Probed& probed) {
  Json ids = Json::array(), names = Json::array();
  for (const ProbePrompt& prompt : probed.prompts) ids.push_back(prompt.ids);
  for (const Json& model : models) names.push_back({model["role"], model["identity"]});
  // Another release may measure otherwise.
  return document_fingerprint({schema, std::string(version()), options, names, ids, probed.names});
}

// To ten digits; what is not finite becomes null.
Json rounded(double value) {
  if (!std::isfinite(value)) return nullptr;
  return std::stod(fmt::format("{:.10g}", value));
}

void write_json(const Json& json, int indent, std::string& out) {
  const std::string gap(static_cast<size_t>(indent) + 1, ' ');
  const auto leaf = [](const Json& value) {
    return (value.is_number_float() ? rounded(value.get<double>()) : value)
        .dump(-1, ' ', false, Json::error_handler_t::replace);
  };
  if (!json.is_structured() || json.empty()) {
    out += leaf(json);
    return;
  }
  const bool flat =
      json.is_array() && std::ranges::none_of(json, [](const Json& item) { return item.is_structured(); });
  out += json.is_array() ? "[" : "{";
  bool first = true;
  for (const auto& [key, value] : json.items()) {
    if (!first) out += flat ? ", " : ",";
    if (!flat) out += "\n" + gap;
    if (json.is_object()) out += leaf(key) + ": ";
    write_json(value, indent + 1, out);
    first = false;
  }
  if (!flat) out += "\n" + gap.substr(1);
  out += json.is_array() ? "]" : "}";
}

}  // namespace

void add_variant_options(CLI::App& command, ProbeArguments& arguments) {
  command.add_option("--base", arguments.base, "Folder of the base checkpoint, for --variants")->type_name("DIR");
  command
      .add_option("--variants", arguments.variants,
                  "Constructions of base and post: paper, controls, or such as restore-attention-out")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->type_name("NAME");
  command.add_option("--sibling", arguments.sibling, "The model of variants that end in -sibling (eq. 12)")
      ->type_name("DIR");
}

void add_probe_options(CLI::App& command, ProbeArguments& arguments, int64_t usual_count) {
  arguments.command = &command;
  arguments.count = usual_count;
  command
      .add_option("--question,--questions", arguments.questions,
                  "Files of questions as gyro eval takes them, names to find in --data, or a question itself")
      ->allow_extra_args(false)
      ->required()
      ->type_name("FILE|TEXT");
  command.add_option("--count", arguments.count, "Questions of each file; 0: all")
      ->check(whole_number_from(0, int64_t{1} << 30))
      ->capture_default_str();
  command.add_option("--shuffle-seed", arguments.shuffle_seed,
                     "Take them in an order shuffled by this seed [the file's]");
  command.add_option("--data", arguments.data, "Folder where questions are found by name")->type_name("DIR");
  command.add_option("--system", arguments.system, "System prompt, of whatever questions [the paper's simple one]");
  command.add_option("--seed", arguments.seed, "Seed of all draws")->capture_default_str();
  add_engine_options(command, arguments.engine);
  command.add_option("-o,--out", arguments.out, "Folder to write to; a run that is there already is not done again")
      ->type_name("DIR");
  command.add_flag("--force", arguments.force, "Write over another probe's file");
  command.add_flag("--json", arguments.json, "Print the document");
  command.add_flag("-q,--quiet", arguments.quiet, "Print nothing but errors");
}

void Probed::load(size_t variant) {
  if (!variants) return;
  const std::function<bool()> stop = interrupted;
  Team team(stop);
  const TeamMember member(&team);
  variants->load(variant, engine());
}

Subject Probed::subject(size_t variant) {
  const std::string& name = names[variant];
  if (variant == 0) return {name, "the post as it is", "original"};
  return {name, variants->description(variant), is_control_variant(name) ? "control" : "variant"};
}

Probed open_probed(const ProbeArguments& arguments, const RunOptions& run) {
  check_variants(arguments);
  std::vector<Task> tasks = probe_tasks(arguments);
  std::vector<std::string> names = expand_variants(arguments.variants);
  const auto base = open_subject(arguments.base, arguments.quiet);
  Probed out{open_chat(load_model(arguments.engine, arguments.quiet, base), ForChat::Questions),
             base,
             std::move(tasks),
             {},
             names,
             {}};
  if (names.size() > 1) {
    if (!out.chat.loaded.source) throw CLI::ValidationError("--variants", "are of checkpoints, not of a GGUF file");
    out.variants.emplace(
        VariantSources{out.base, out.chat.loaded.source, open_subject(arguments.sibling, arguments.quiet, out.base),
                       parse_dtype(arguments.engine.dtype.value_or(kUsualDtype)), arguments.seed, run},
        names);
  }
  out.prompts = probe_prompts(out.chat, out.tasks);
  return out;
}

Json probe_head(const std::string& schema, const ProbeArguments& arguments, const Probed& probed, const Json& options) {
  Json all = {{"dtype", arguments.engine.dtype.value_or(kUsualDtype)},
              {"device", arguments.engine.device},
              {"seed", arguments.seed}};
  all.update(options);
  const Json models = models_json(arguments, probed);
  Json tasks = Json::array(), questions = Json::array();
  for (const Task& task : probed.tasks) {
    tasks.push_back({{"name", task.name},
                     {"path", task.path.string()},
                     {"sha256", task.sha256},
                     {"questions", task.questions.size()},
                     {"system", task.system}});
  }
  for (const ProbePrompt& prompt : probed.prompts) {
    questions.push_back(
        {{"task", prompt.task}, {"id", prompt.id}, {"text", prompt.question}, {"tokens", prompt.ids.size()}});
  }
  return {{"schema", schema},
          {"gyro", {{"version", std::string(version())}}},
          {"command", command_line()},
          {"fingerprint", fingerprint(schema, all, models, probed)},
          {"options", all},
          {"models", models},
          {"tasks", tasks},
          {"questions", questions}};
}

bool is_probed(const fs::path& file, const Json& head, bool force) {
  std::error_code ignored;
  if (!fs::exists(file, ignored)) return false;
  if (has_fingerprint(file, head["fingerprint"])) return true;
  if (force) return false;
  fail({ErrorKind::Input, "force"}, file.string(), "is of other models, questions or options");
}

std::string probe_text(const Json& document) {
  std::string out;
  write_json(document, 0, out);
  return out + "\n";
}

}  // namespace gyro
