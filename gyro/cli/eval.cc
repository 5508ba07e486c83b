#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "gyro/base/error.h"
#include "gyro/base/team.h"
#include "gyro/cli/commands.h"
#include "gyro/cli/engine_options.h"
#include "gyro/cli/eval_document.h"
#include "gyro/cli/eval_tables.h"
#include "gyro/cli/interrupt.h"
#include "gyro/cli/parse.h"
#include "gyro/cli/progress.h"
#include "gyro/cli/run_options.h"
#include "gyro/cli/subjects.h"
#include "gyro/cli/terminal.h"
#include "gyro/eval/endpoint.h"
#include "gyro/eval/http.h"
#include "gyro/eval/summary.h"
#include "gyro/eval/variant_models.h"

namespace gyro {
namespace {

constexpr const char* kKept = "the same command goes on from there";
constexpr const char* kNotKept = "nothing is kept without --out";

struct EvalArguments {
  EngineArguments engine;
  Endpoint endpoint;  // its url as it was typed
  std::string base, post, sibling, data, out, system;
  std::vector<std::string> tasks, variants, examples;
  int64_t limit = 0, repeats = 3;
  uint64_t shuffle_seed = 0, seed = 0;
  bool force = false, json = false, quiet = false;
  EvalOptions options;
  const CLI::App* command = nullptr;
};

std::vector<EvalTask> read_tasks(const EvalArguments& arguments) {
  std::vector<EvalTask> tasks;
  for (const std::string& text : arguments.tasks) {
    EvalTask task{named_task(text, arguments.data, arguments.seed), {}};
    if (arguments.command->count("--system") > 0) task.task.system = arguments.system;
    limit_questions(task.task, arguments.limit, arguments.shuffle_seed);
    for (const EvalTask& other : tasks) {
      if (other.task.name == task.task.name) throw CLI::ValidationError("--task", "has " + task.task.name + " twice");
    }
    tasks.push_back(std::move(task));
  }
  for (const std::string& text : arguments.examples) {
    const Task shown = named_task(text, arguments.data, arguments.seed);
    bool found = false;
    for (EvalTask& task : tasks) {
      if (task.task.name != shown.name && tasks.size() > 1) continue;
      if (!task.examples.empty()) throw CLI::ValidationError("--examples", "has two for " + task.task.name);
      task.examples = shown.questions;
      task.hides_examples = is_hidden(shown);
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

// A model that is evaluated: with its variants, alone, or by a server.
struct Evaluated {
  std::optional<Endpoint> endpoint;
  std::optional<ChatModel> chat;
  std::optional<VariantModels> variants;
  EvalDocument document;
};

// --endpoint and --model, and nothing that is about a model in memory.
bool asks_server(const EvalArguments& arguments) {
  const auto given = [&](const char* name) { return arguments.command->count(name) > 0; };
  if (!given("--endpoint")) {
    for (const char* name : {"--model", "--request-timeout", "--retries"}) {
      if (given(name)) throw CLI::ValidationError(name, "goes with --endpoint");
    }
    return false;
  }
  if (!given("--model")) throw CLI::ValidationError("--endpoint", "needs --model, the name of one that the server has");
  for (const char* name :
       {"MODEL", "--base", "--post", "--variants", "--sibling", "--dtype", "--pre", "--device", "--threads"}) {
    if (given(name)) throw CLI::ValidationError(name, "does not go with --endpoint: the server runs the model");
  }
  return true;
}

void check_models(const EvalArguments& arguments) {
  const bool pair = !arguments.base.empty() || !arguments.post.empty();
  if (pair && (arguments.base.empty() || arguments.post.empty())) {
    throw arguments.base.empty() ? CLI::ValidationError("--post", "needs --base")
                                 : CLI::ValidationError("--base", "needs --post");
  }
  if (pair == !arguments.engine.model.empty()) {
    throw CLI::ValidationError(
        "MODEL", pair ? "is named beside --base and --post" : "is missing, or --base and --post, or --endpoint");
  }
  if (!pair && (arguments.command->count("--variants") > 0 || !arguments.sibling.empty())) {
    throw CLI::ValidationError(arguments.sibling.empty() ? "--variants" : "--sibling", "goes with --base and --post");
  }
}

Evaluated open_server(const EvalArguments& arguments, std::vector<std::string>& names) {
  Evaluated out;
  names = {std::string(kOriginal)};
  Endpoint& endpoint = out.endpoint.emplace(arguments.endpoint);
  endpoint.url = http_address(arguments.endpoint.url);
  endpoint.key = endpoint_key();
  out.document.models = {{"endpoint", endpoint.url, endpoint.url},
                         {"model", endpoint.model, served_model(endpoint, interrupted)}};
  return out;
}

Evaluated open_models(const EvalArguments& arguments, std::vector<std::string>& names, const RunOptions& run) {
  Evaluated out;
  if (arguments.post.empty()) {
    names = {std::string(kOriginal)};
    out.chat.emplace(open_chat(load_model(arguments.engine, arguments.quiet), ForChat::Questions));
    const auto& source = out.chat->loaded.source;
    out.document.models = {
        {"model", arguments.engine.model, source ? model_identity(*source) : file_identity(arguments.engine.model)}};
    return out;
  }
  names = expand_variants(arguments.variants);
  const auto base = open_subject(arguments.base, arguments.quiet);
  const auto post = open_subject(arguments.post, arguments.quiet, base);
  VariantSources sources{base,
                         post,
                         open_subject(arguments.sibling, arguments.quiet, base),
                         parse_dtype(arguments.engine.dtype.value_or(kUsualDtype)),
                         arguments.seed,
                         run};
  out.document.models = {{"base", arguments.base, model_identity(*sources.base)},
                         {"post", arguments.post, model_identity(*sources.post)}};
  if (sources.sibling) out.document.models.push_back({"sibling", arguments.sibling, model_identity(*sources.sibling)});
  out.variants.emplace(sources, names);
  out.chat.emplace(open_chat(load_model(arguments.engine, post), ForChat::Questions));
  return out;
}

void print_tables(const std::vector<EvalCell>& cells, const EvalRequest& request) {
  const Terminal terminal = terminal_of(STDOUT_FILENO);
  for (const EvalTask& task : request.tasks)
    fmt::print("{}\n", text_table(task_table(cells, task.task.name), terminal.width));
  for (const std::string& note : table_notes(cells)) fmt::print("{}", wrapped(note, terminal.width, "  "));
}

// Of a server, whose failures are no end of a run that keeps its answers.
std::optional<std::vector<Score>> ask(const EvalRequest& request, const Evaluated& evaluated, const char* left) {
  try {
    return evaluate(request);
  } catch (const Error& error) {
    if (!evaluated.endpoint || error.subject() != evaluated.endpoint->url) throw;
    throw Error(error.subject(), fmt::format("{}; {}", error.problem(), left), error.cause());
  }
}

void set_engine(const EngineArguments& engine, EvalDocument& document) {
  const bool as_it_is = std::filesystem::path(engine.model).extension() == ".gguf";
  document.dtype = engine.dtype.value_or(as_it_is ? "keep" : kUsualDtype);
  document.device = engine.device;
  document.pre = engine.pre.value_or("");
}

// Puts the variant's weights in place; where that was stopped nobody answers.
Completer prepare(Evaluated& evaluated, size_t variant) {
  if (evaluated.endpoint) return complete_by(*evaluated.endpoint);
  if (evaluated.variants) {
    const std::function<bool()> stop = interrupted;
    Team team(stop);
    const TeamMember member(&team);
    try {
      evaluated.variants->load(variant, evaluated.chat->loaded.engine);
    } catch (const Stopped&) {
      return [](std::span<const CompletionRequest>, const CompletionOptions&, const CompletionSink&) {};
    }
  }
  return complete_by(*evaluated.chat);
}

void report(const EvalArguments& arguments, Evaluated& evaluated, const EvalRequest& request,
            const std::vector<Score>& scores) {
  const std::vector<EvalCell> cells = summarize(request, scores, arguments.seed);
  if (arguments.json || !arguments.out.empty()) {
    for (size_t i = 0; evaluated.variants && i < request.variants.size(); ++i) {
      evaluated.document.variants.push_back(evaluated.variants->description(i));
    }
    const std::string json = eval_json(evaluated.document, request, cells, scores);
    if (!arguments.out.empty()) write_eval_folder(arguments.out, json, cells);
    if (arguments.json) fmt::print("{}", json);
  }
  if (arguments.json || arguments.quiet) return;
  print_tables(cells, request);
  if (!arguments.out.empty()) fmt::print("Wrote {}\n", arguments.out);
}

int run(EvalArguments& arguments) {
  const bool server = asks_server(arguments);
  if (!server) check_models(arguments);
  if (arguments.options.completion.sampler.temperature == 0 && arguments.command->count("--repeats") == 0)
    arguments.repeats = 1;
  arguments.options.repeats = arguments.repeats;
  arguments.options.completion.sampler.seed = arguments.seed;
  arguments.options.completion.stop = interrupted;
  EvalRequest request;
  request.options = arguments.options;
  request.tasks = read_tasks(arguments);
  const char* left = arguments.out.empty() ? kNotKept : kKept;
  const RunOptions run_how = run_options({arguments.engine.device, "", arguments.engine.threads, true}, left);
  Evaluated evaluated =
      server ? open_server(arguments, request.variants) : open_models(arguments, request.variants, run_how);
  if (interrupted()) return report_interruption(left);
  EvalDocument& document = evaluated.document;
  document.settings = server ? server_settings(request, document.models) : settings_lines(request, *evaluated.chat);
  if (!server) {
    set_engine(arguments.engine, document);
    document.date = told_date(*evaluated.chat);
  }
  if (!arguments.out.empty()) request.samples = open_eval_folder(arguments.out, document, request, arguments.force);
  const bool silent = arguments.quiet || arguments.json;
  if (!silent) {
    for (const std::string& line : document.settings) fmt::print(stderr, "gyro: {}\n", line);
    request.progress = stderr_progress();
  }
  request.prepare = [&](size_t variant) { return prepare(evaluated, variant); };
  const auto scores = ask(request, evaluated, left);
  if (!scores) return report_interruption(left);
  report(arguments, evaluated, request, *scores);
  return kDone;
}

void add_question_options(CLI::App& command, EvalArguments& arguments) {
  command.add_option("--task", arguments.tasks, "What to ask: files or folders, NAME=PATH, or names to find in --data")
      ->delimiter(',')
      ->allow_extra_args(false)
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
      ->allow_extra_args(false)
      ->type_name("TASK");
  command.add_flag("--few-shot-turns", arguments.options.few_shot_turns,
                   "Each example as a turn, not in the question's text");
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

void add_server_options(CLI::App& command, EvalArguments& arguments) {
  command
      .add_option("--endpoint", arguments.endpoint.url,
                  "Ask a server of the chat completions API, such as http://localhost:8000/v1; its key is read from "
                  "OPENAI_API_KEY")
      ->type_name("URL");
  command.add_option("--model", arguments.endpoint.model, "The server's name of the model")->type_name("NAME");
  command
      .add_option("--request-timeout", arguments.endpoint.seconds, "Seconds within which a server must have answered")
      ->check(number_from(0.1, 86400))
      ->type_name("SECONDS")
      ->capture_default_str();
  command
      .add_option("--retries", arguments.endpoint.retries,
                  "How often a request is tried again, after 0.25 s, then twice as long each time")
      ->check(whole_number_from(0, 30))
      ->capture_default_str();
}

}  // namespace

void add_eval_command(CLI::App& app, int& exit_code) {
  auto* command = app.add_subcommand("eval", "How many questions a model and its constructions answer right");
  auto arguments = std::make_shared<EvalArguments>();
  arguments->command = command;
  command
      ->add_option("MODEL", arguments->engine.model,
                   "Folder of a checkpoint, or a .gguf file; or --base and --post, or --endpoint")
      ->type_name("PATH");
  command->add_option("--base", arguments->base, "Folder of the base checkpoint")->type_name("DIR");
  command->add_option("--post", arguments->post, "Folder of the post-trained checkpoint")->type_name("DIR");
  command
      ->add_option("--variants", arguments->variants,
                   "Constructions of the two beside the original: paper, controls, or such as restore-attention-out")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->type_name("NAME");
  command->add_option("--sibling", arguments->sibling, "The model of variants that end in -sibling (eq. 12)")
      ->type_name("DIR");
  add_question_options(*command, *arguments);
  add_answer_options(*command, *arguments);
  add_engine_options(*command, arguments->engine);
  add_server_options(*command, *arguments);
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
      "  gyro eval --base base --post instruct --variants restore-mlp-in --task mmlu=mmlu/dev --temp 0\n"
      "  gyro eval --endpoint http://localhost:8000/v1 --model qwen --task gsm8k=test.jsonl --out scores");
  command->callback([arguments, &exit_code] { exit_code = run(*arguments); });
}

}  // namespace gyro
