#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "gyro/base/error.h"
#include "gyro/checkpoint/checkpoint.h"
#include "gyro/cli/commands.h"
#include "gyro/cli/engine_options.h"
#include "gyro/cli/eval_document.h"
#include "gyro/cli/eval_tables.h"
#include "gyro/cli/interrupt.h"
#include "gyro/cli/parse.h"
#include "gyro/cli/progress.h"
#include "gyro/cli/run_options.h"
#include "gyro/cli/terminal.h"
#include "gyro/eval/summary.h"
#include "gyro/eval/variant_models.h"

namespace gyro {
namespace {

constexpr const char* kKept = "the same command goes on from there";
constexpr const char* kNotKept = "nothing is kept without --out";

struct EvalArguments {
  EngineArguments engine;
  std::string base, post, sibling, data, out, system;
  std::vector<std::string> tasks, variants, examples;
  int64_t limit = 0, repeats = 3;
  uint64_t shuffle_seed = 0, seed = 0;
  bool force = false, json = false, quiet = false;
  EvalOptions options;
  CLI::Option *repeats_option = nullptr, *system_option = nullptr, *variants_option = nullptr;
};

// "NAME=PATH", a path, or a name to be found in --data.
Task named_task(const EvalArguments& arguments, const std::string& text) {
  namespace fs = std::filesystem;
  const size_t equals = text.find('=');
  if (!fs::exists(text) && equals != std::string::npos && equals > 0) {
    return read_task(text.substr(0, equals), text.substr(equals + 1), arguments.seed);
  }
  if (fs::exists(text) || text.find('/') != std::string::npos || fs::path(text).has_extension()) {
    return read_task(fs::path(text).stem().string(), text, arguments.seed);
  }
  if (arguments.data.empty()) {
    fail({ErrorKind::NotFound, "data"}, text, "is no file; name one by {}=FILE, or the folder where it is by --data",
         text);
  }
  return read_task(text, find_task(text, arguments.data), arguments.seed);
}

std::vector<EvalTask> read_tasks(const EvalArguments& arguments) {
  std::vector<EvalTask> tasks;
  for (const std::string& text : arguments.tasks) {
    EvalTask task{named_task(arguments, text), {}};
    if (arguments.system_option->count() > 0) task.task.system = arguments.system;
    limit_questions(task.task, arguments.limit, arguments.shuffle_seed);
    for (const EvalTask& other : tasks) {
      if (other.task.name == task.task.name) throw CLI::ValidationError("--task", "has " + task.task.name + " twice");
    }
    tasks.push_back(std::move(task));
  }
  for (const std::string& text : arguments.examples) {
    const Task shown = named_task(arguments, text);
    bool found = false;
    for (EvalTask& task : tasks) {
      if (task.task.name != shown.name && tasks.size() > 1) continue;
      task.examples = shown.questions;
      found = true;
    }
    if (!found) throw CLI::ValidationError("--examples", "has " + shown.name + ", which is no --task: write TASK=FILE");
  }
  for (const EvalTask& task : tasks) {
    if (arguments.options.few_shot > static_cast<int64_t>(task.examples.size())) {
      fail({ErrorKind::Input, "examples"}, "--few-shot",
           "{} has {} examples to show: name a file of them by --examples {}=FILE", task.task.name,
           task.examples.size(), task.task.name);
    }
  }
  return tasks;
}

// A model that is evaluated: with its variants, or alone.
struct Evaluated {
  std::optional<ChatModel> chat;
  std::optional<VariantModels> variants;
  EvalDocument document;
};

void check_models(EvalArguments& arguments) {
  const bool pair = !arguments.base.empty() || !arguments.post.empty();
  if (pair && (arguments.base.empty() || arguments.post.empty())) {
    throw arguments.base.empty() ? CLI::ValidationError("--post", "needs --base")
                                 : CLI::ValidationError("--base", "needs --post");
  }
  if (pair == !arguments.engine.model.empty()) {
    throw CLI::ValidationError("MODEL",
                               pair ? "is named beside --base and --post" : "is missing, or --base and --post");
  }
  if (!pair && (arguments.variants_option->count() > 0 || !arguments.sibling.empty())) {
    throw CLI::ValidationError(arguments.sibling.empty() ? "--variants" : "--sibling", "goes with --base and --post");
  }
}

std::shared_ptr<const TensorSource> open_source(const std::string& path) {
  return path.empty() ? nullptr : std::make_shared<Checkpoint>(path);
}

Evaluated open_models(const EvalArguments& arguments, std::vector<std::string>& names, const RunOptions& run) {
  Evaluated out;
  if (arguments.post.empty()) {
    names = {std::string(kOriginal)};
    out.chat.emplace(open_chat(load_model(arguments.engine)));
    const auto& source = out.chat->loaded.source;
    out.document.models = {
        {"model", arguments.engine.model, source ? source->identity() : file_identity(arguments.engine.model)}};
    return out;
  }
  names = expand_variants(arguments.variants);
  VariantSources sources{open_source(arguments.base),
                         open_source(arguments.post),
                         open_source(arguments.sibling),
                         parse_dtype(arguments.engine.dtype.value_or(kUsualDtype)),
                         arguments.seed,
                         run};
  out.document.models = {{"base", arguments.base, sources.base->identity()},
                         {"post", arguments.post, sources.post->identity()}};
  if (sources.sibling) out.document.models.push_back({"sibling", arguments.sibling, sources.sibling->identity()});
  out.variants.emplace(sources, names);
  EngineArguments engine = arguments.engine;
  engine.model = arguments.post;
  out.chat.emplace(open_chat(load_model(engine)));
  return out;
}

void print_tables(const std::vector<EvalCell>& cells, const EvalRequest& request) {
  const Terminal terminal = terminal_of(STDOUT_FILENO);
  for (const EvalTask& task : request.tasks)
    fmt::print("{}\n", text_table(task_table(cells, task.task.name), terminal.width));
  for (const std::string& note : table_notes(cells)) fmt::print("{}", wrapped(note, terminal.width, "  "));
}

int run(EvalArguments& arguments) {
  check_models(arguments);
  if (arguments.options.completion.sampler.temperature == 0 && arguments.repeats_option->count() == 0)
    arguments.repeats = 1;
  arguments.options.repeats = arguments.repeats;
  arguments.options.completion.sampler.seed = arguments.seed;
  arguments.options.completion.stop = interrupted;
  EvalRequest request;
  request.options = arguments.options;
  request.tasks = read_tasks(arguments);
  const char* left = arguments.out.empty() ? kNotKept : kKept;
  const RunOptions run_how = run_options({arguments.engine.device, "", arguments.engine.threads, true}, left);
  Evaluated evaluated = open_models(arguments, request.variants, run_how);
  EvalDocument& document = evaluated.document;
  document.settings = settings_lines(request, *evaluated.chat);
  document.dtype = arguments.engine.dtype.value_or(kUsualDtype);
  if (!arguments.out.empty()) request.samples = open_eval_folder(arguments.out, document, request, arguments.force);
  const bool silent = arguments.quiet || arguments.json;
  if (!silent) {
    for (const std::string& line : document.settings) fmt::print(stderr, "gyro: {}\n", line);
    request.progress = stderr_progress();
  }
  request.prepare = [&](size_t variant) {
    if (evaluated.variants) evaluated.variants->load(variant, evaluated.chat->loaded.engine);
    return complete_by(*evaluated.chat);
  };
  const auto scores = evaluate(request);
  if (!scores) return report_interruption(left);
  const std::vector<EvalCell> cells = summarize(request, *scores, arguments.seed);
  if (evaluated.variants) {
    for (size_t i = 0; i < request.variants.size(); ++i)
      document.variants.push_back(evaluated.variants->description(i));
  }
  const std::string json = eval_json(document, request, cells, *scores);
  if (!arguments.out.empty()) write_eval_folder(arguments.out, json, cells);
  if (arguments.json) {
    fmt::print("{}", json);
  } else if (!arguments.quiet) {
    print_tables(cells, request);
    if (!arguments.out.empty()) fmt::print("Wrote {}\n", arguments.out);
  }
  return kDone;
}

void add_question_options(CLI::App& command, EvalArguments& arguments) {
  command.add_option("--task", arguments.tasks, "What to ask: files or folders, NAME=PATH, or names to find in --data")
      ->delimiter(',')
      ->required()
      ->type_name("TASK");
  command
      .add_option("--data", arguments.data,
                  "Folder where tasks are found by name: gsm8k, math500, mmlu, gpqa, commonsenseqa")
      ->type_name("DIR");
  command.add_option("--limit", arguments.limit, "Only so many questions of each task")
      ->check(whole_number_from(1, int64_t{1} << 30));
  command.add_option("--shuffle-seed", arguments.shuffle_seed,
                     "Ask, and limit, in an order shuffled by this seed [the file's]");
  command.add_option("--few-shot", arguments.options.few_shot, "Examples before each question")
      ->check(whole_number_from(0, 1000))
      ->capture_default_str();
  command
      .add_option("--examples", arguments.examples, "Where examples come from: a file like the task's, or TASK=FILE")
      ->delimiter(',')
      ->type_name("TASK");
  command.add_flag("--few-shot-turns", arguments.options.few_shot_turns,
                   "Each example as a turn, not in the question's text");
  arguments.system_option =
      command.add_option("--system", arguments.system, "System prompt [the paper's for the task]")->type_name("TEXT");
}

void add_answer_options(CLI::App& command, EvalArguments& arguments) {
  SamplerOptions& sampler = arguments.options.completion.sampler;
  command.add_option("--temp", sampler.temperature, "Temperature; 0 takes the likeliest token")
      ->check(number_from(0, 100))
      ->capture_default_str();
  command.add_option("--top-p", sampler.top_p, "Draw from the fewest tokens that have this probability")
      ->check(number_from(1e-6, 1))
      ->capture_default_str();
  arguments.repeats_option =
      command.add_option("--repeats", arguments.repeats, "How often each question is asked [3; 1 at temperature 0]")
          ->check(whole_number_from(1, 1000));
  command.add_option("-n,--max-tokens", arguments.options.completion.max_tokens, "Most tokens of an answer")
      ->check(whole_number_from(1, int64_t{1} << 30))
      ->capture_default_str();
  command.add_option("--concurrency", arguments.options.completion.concurrency, "Answers that are worked on at once")
      ->check(whole_number_from(1, 250))
      ->capture_default_str();
  command.add_option("--seed", arguments.seed, "Seed of all draws")->capture_default_str();
}

}  // namespace

void add_eval_command(CLI::App& app, int& exit_code) {
  auto* command = app.add_subcommand("eval", "How many questions a model and its constructions answer right");
  auto arguments = std::make_shared<EvalArguments>();
  command->add_option("MODEL", arguments->engine.model, "Folder of a checkpoint, or a .gguf file; or --base and --post")
      ->type_name("PATH");
  command->add_option("--base", arguments->base, "Folder of the base checkpoint")->type_name("DIR");
  command->add_option("--post", arguments->post, "Folder of the post-trained checkpoint")->type_name("DIR");
  arguments->variants_option =
      command
          ->add_option(
              "--variants", arguments->variants,
              "Constructions of the two beside the original: paper, controls, or such as restore-attention-out")
          ->delimiter(',')
          ->type_name("NAME");
  command->add_option("--sibling", arguments->sibling, "The model of variants that end in -sibling (eq. 12)")
      ->type_name("DIR");
  add_question_options(*command, *arguments);
  add_answer_options(*command, *arguments);
  add_engine_options(*command, arguments->engine);
  command
      ->add_option("-o,--out", arguments->out,
                   "Folder for eval.json, samples.jsonl and tables; a run goes on from there")
      ->type_name("DIR");
  command->add_flag("--force", arguments->force, "Begin anew in a folder of another evaluation");
  command->add_flag("--json", arguments->json, "Print eval.json's content");
  command->add_flag("-q,--quiet", arguments->quiet, "Print nothing but errors");
  command->footer(
      "Defaults are the paper's: temperature 0.2, top-p 0.95, 1024 tokens, three repeats, its system prompts and its\n"
      "template for multiple choice.\n"
      "Examples:\n"
      "  gyro eval instruct --task data/tiny_gsm8k.jsonl --limit 100\n"
      "  gyro eval instruct --task gsm8k,math500,mmlu,gpqa --data ~/tasks --out scores\n"
      "  gyro eval --base base --post instruct --variants paper,controls --task gsm8k=test.jsonl --out scores\n"
      "  gyro eval --base base --post instruct --variants restore-mlp-in --task mmlu=mmlu/dev --temp 0");
  command->callback([arguments, &exit_code] { exit_code = run(*arguments); });
}

}  // namespace gyro
