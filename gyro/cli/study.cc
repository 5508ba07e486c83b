#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <memory>

#include "gyro/base/error.h"
#include "gyro/base/file.h"
#include "gyro/cli/commands.h"
#include "gyro/cli/error_line.h"
#include "gyro/cli/interrupt.h"
#include "gyro/cli/names.h"
#include "gyro/cli/parse.h"
#include "gyro/cli/progress.h"
#include "gyro/cli/subjects.h"
#include "gyro/cli/table.h"
#include "gyro/cli/terminal.h"
#include "gyro/cli/usage.h"
#include "gyro/eval/completion.h"
#include "gyro/study/claims.h"
#include "gyro/study/estimate.h"

namespace gyro {
namespace {

namespace fs = std::filesystem;

constexpr const char* kLeft = "the same command goes on from there";
constexpr size_t kDocumentLimit = size_t{1} << 30;

struct StudyArguments {
  StudyRequest request;
  std::vector<std::string> posts;
  std::string out, sibling;
  bool plan = false, json = false, quiet = false;
};

// Standard output goes nowhere as long as it lives: a stage's tables are in its files, and in the report.
class Silence {
 public:
  Silence() : kept_((std::fflush(stdout), dup(STDOUT_FILENO))) {
    const int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (nowhere < 0) return;
    dup2(nowhere, STDOUT_FILENO);
    close(nowhere);
  }
  ~Silence() {
    std::fflush(stdout);
    if (kept_ < 0) return;
    dup2(kept_, STDOUT_FILENO);
    close(kept_);
  }
  Silence(const Silence&) = delete;
  Silence& operator=(const Silence&) = delete;

 private:
  int kept_;
};

// A post's name is its folder's in the study: as it was given, or what tells the paths apart.
void take_posts(StudyArguments& arguments) {
  StudyRequest& request = arguments.request;
  std::vector<std::string> paths, given;
  for (const std::string& text : arguments.posts) {
    const auto [name, path] = split_name(text);
    given.push_back(name);
    paths.push_back(path);
  }
  const std::vector<std::string> names = distinct_names(paths, 60);
  for (size_t i = 0; i < paths.size(); ++i) {
    std::string name = given[i].empty() ? names[i] : given[i];
    std::ranges::replace(name, '/', '-');
    const auto same = [&](const StudyPost& post) { return post.name == name; };
    if (name == "." || name == ".." || std::ranges::any_of(request.posts, same)) {
      throw CLI::ValidationError("POST", "'" + paths[i] + "' needs a name of its own: NAME=" + paths[i]);
    }
    // Eq. 12: the Instruct model's factors in the reasoning model, so the first post's in the others.
    std::string sibling = arguments.sibling.empty() && i > 0 ? paths[0] : arguments.sibling;
    std::error_code ignored;
    if (fs::equivalent(sibling, paths[i], ignored)) sibling.clear();
    request.posts.push_back({paths[i], name, sibling});
  }
}

// What of the questions a run costs.
void count_questions(const StudyRequest& request, StudySize& size) {
  double bytes = 0;
  for (const std::string& text : request.tasks) {
    Task task = named_task(text, request.data, request.seed);
    limit_questions(task, request.limit, 0);
    size.questions += static_cast<int64_t>(task.questions.size());
    for (const Question& question : task.questions) bytes += static_cast<double>(question_prompt(question).size());
  }
  constexpr double kBytesOfToken = 4, kFrame = 40, kUsual = 120;
  const auto asked = static_cast<double>(size.questions);
  size.question_tokens = size.questions > 0 ? bytes / asked / kBytesOfToken + kFrame : kUsual;
}

std::string size_text(double bytes) {
  return bytes < 1e9 ? fmt::format("{:.0f} MB", bytes / 1e6) : fmt::format("{:.1f} GB", bytes / 1e9);
}

std::string about(double seconds) {
  return seconds < 1 ? "1 s" : format_duration(seconds);
}

// A stage of a plan, with its cost.
struct Planned {
  Stage stage;
  StageCost cost;
  bool begun = false;
};

// What will be done, read and held, and how long it takes about.
struct Plan {
  StudySize size;
  MachineRate rate;
  std::vector<Planned> stages;
  double seconds = 0;  ///< of what has not begun
};

Plan plan_of(const StudyRequest& request, const std::vector<Stage>& stages) {
  Plan plan{size_of(*open_subject(request.posts.front().path, true, open_subject(request.base, true))),
            measure_rate(request),
            {},
            0};
  count_questions(request, plan.size);
  for (const Stage& stage : stages) {
    plan.stages.push_back({stage, cost_of(stage, request, plan.size, plan.rate), fs::exists(stage.gives)});
    if (!plan.stages.back().begun) plan.seconds += plan.stages.back().cost.seconds;
  }
  return plan;
}

std::string plan_json(const Plan& plan) {
  Json stages = Json::array();
  for (const auto& [stage, cost, begun] : plan.stages) {
    stages.push_back({{"stage", stage_title(stage)},
                      {"command", typed_line(stage.words)},
                      {"read_bytes", cost.read},
                      {"held_bytes", cost.held},
                      {"seconds", cost.seconds},
                      {"begun", begun}});
  }
  const Json json = {{"schema", "gyro.plan/1"},
                     {"measured", plan.rate.measured},
                     {"parameters", plan.size.parameters},
                     {"matrices", plan.size.sites.size()},
                     {"questions", plan.size.questions},
                     {"prompt_tokens", plan.size.question_tokens},
                     {"seconds", plan.seconds},
                     {"stages", stages}};
  return json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

void print_plan(const StudyRequest& request, const Plan& plan) {
  Table table{fmt::format("The plan of {}", printable(request.out.string(), 200)),
              {"reads", "holds", "takes about", "begun"},
              {}};
  for (const auto& [stage, cost, begun] : plan.stages) {
    table.rows.push_back(
        {stage_title(stage), {size_text(cost.read), size_text(cost.held), about(cost.seconds), begun ? "yes" : "-"}});
  }
  const Terminal terminal = terminal_of(STDOUT_FILENO);
  fmt::print("{}\n", text_table(table, terminal.width));
  const double answer = std::min(kAssumedTokens, static_cast<double>(request.max_tokens));
  const std::string answers = plan.size.questions == 0
                                  ? "no tasks"
                                  : fmt::format("{} questions of about {:.0f} tokens, answers of {:.0f} assumed",
                                                plan.size.questions, plan.size.question_tokens, answer);
  fmt::print(
      "{}", wrapped(fmt::format(
                        "{} for what has not begun, within a factor of three: {}; {:.3g} parameters, {} matrices a "
                        "model; {}.",
                        about(plan.seconds), plan.rate.measured, plan.size.parameters, plan.size.sites.size(), answers),
                    terminal.width, ""));
  fmt::print("\nIn these commands:\n");
  for (const Planned& planned : plan.stages) fmt::print("{}\n", typed_line(planned.stage.words));
}

// One command of gyro's within this process.
int run_words(const std::vector<std::string>& words) {
  CLI::App app;
  int exit_code = kDone;
  add_commands(app, exit_code);
  std::vector<std::string> reversed(words.rbegin(), words.rend());
  try {
    app.parse(std::move(reversed));
  } catch (const CLI::ParseError& error) {
    fail(words.front(), "{}", usage_problem(app, error));
  }
  return exit_code;
}

int run_stage(const Stage& stage, bool quiet) {
  keep_command_line(stage.words);
  std::vector<std::string> words = stage.words;
  if (quiet) words.emplace_back("--quiet");
  const Silence silence;
  return run_words(words);
}

Json read_json(const fs::path& file) {
  std::error_code ignored;
  if (!fs::exists(file, ignored)) return nullptr;
  return parse_document(file.string(), read_file(file, kDocumentLimit));
}

// `result` and `rotation` are of all posts.
StudyDocuments documents_of(const StudyRequest& request, size_t post, const Json& result, const Json& rotation) {
  StudyDocuments out;
  if (result.is_object()) out.comparison = result.at("comparisons").at(post);  // posts come first, in their order
  const fs::path folder = post_folder(request, request.posts[post]);
  out.evaluation = read_json(folder / "eval.json");
  out.attention = read_json(folder / "attention.json");
  out.cka = read_json(folder / "cka.json");
  if (!rotation.is_object()) return out;
  // The first post with each of the others, in their order.
  const Json& pairs = rotation.at("pairs");
  for (size_t i = 0; i < pairs.size(); ++i) {
    if (post == 0 || post == i + 1) out.rotations.push_back(pairs[i]);
  }
  return out;
}

using PostClaims = std::vector<std::pair<std::string, std::vector<Claim>>>;

void print_claims(const PostClaims& posts) {
  const Terminal terminal = terminal_of(STDOUT_FILENO);
  for (const auto& [post, claims] : posts) {
    fmt::print("Claims of the paper, of {}\n\n", printable(post, 80));
    for (const Claim& claim : claims) {
      const std::string head = fmt::format("{}: {} ({})", claim_verdict_name(claim.verdict), claim.claim, claim.where);
      fmt::print("{}", wrapped(head, terminal.width, "  "));
      for (const auto& [label, line] :
           {std::pair("here", claim.figure), std::pair("control", claim.control), std::pair("so", claim.why)}) {
        if (!line.empty()) fmt::print("  {}", wrapped(fmt::format("{}: {}", label, line), terminal.width - 2, "    "));
      }
    }
    fmt::print("\n");
  }
}

// The page of the study, and the claims at its head.
void finish(const StudyArguments& arguments, const std::vector<Stage>& stages) {
  const StudyRequest& request = arguments.request;
  const Json result = read_json(request.out / "result.json"), rotation = read_json(request.out / "rotation.json");
  PostClaims claims;
  for (size_t i = 0; i < request.posts.size(); ++i) {
    claims.emplace_back(request.posts[i].name, judge_claims(documents_of(request, i, result, rotation)));
  }
  Json models = {{{"role", "base"}, {"path", request.base}}};
  for (const StudyPost& post : request.posts) models.push_back({{"role", "post"}, {"path", post.path}});
  const std::string text = claims_json(models, claims).dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
  write_file_atomically(request.out / "claims.json", text);
  std::vector<std::string> words = {"report", request.out.string()};
  for (const StudyPost& post : request.posts) {
    const auto is_there = [&](const Stage& stage) { return stage.post == post.name && fs::exists(stage.gives); };
    if (std::ranges::any_of(stages, is_there)) words.push_back(post_folder(request, post).string());
  }
  words.insert(words.end(), {"--out", (request.out / "report.html").string(), "--quiet"});
  run_words(words);
  if (arguments.json) fmt::print("{}", text);
  if (arguments.json || arguments.quiet) return;
  print_claims(claims);
  fmt::print("Wrote {0}/report.html and {0}/claims.json\n", request.out.string());
}

// What cannot be done of one stage, such as what an engine does not run, is no end of the others; without weights there
// is nothing to say.
int run_stages(const StudyArguments& arguments, const std::vector<Stage>& stages) {
  const StudyRequest& request = arguments.request;
  const bool silent = arguments.quiet || arguments.json;
  std::vector<std::string> failed;
  hold_interruption_text(kLeft);
  for (size_t i = 0; i < stages.size(); ++i) {
    const std::string title = stage_title(stages[i]);
    if (!silent) fmt::print(stderr, "gyro: {} of {}: {}\n", i + 1, stages.size(), title);
    try {
      if (const int code = run_stage(stages[i], silent); code != kDone) return code;
    } catch (const Error& error) {
      if (stages[i].kind == StageKind::Diff) throw;
      fmt::print(stderr, "gyro: warning: {}: {}\n", printable(title), error_line(error));
      failed.push_back(title);
    }
    if (interrupted()) return report_interruption(kLeft);
    // The diff makes the folder, and takes it for its own only while nothing else is in it.
    if (i == 0 && request.questions.empty() && request.tasks.empty()) {
      write_file_atomically(request.out / kQuestionsFile, built_in_questions());
    }
  }
  finish(arguments, stages);
  if (!failed.empty()) fail(arguments.out, "is without {}", fmt::join(failed, ", "));
  return kDone;
}

int run(StudyArguments& arguments) {
  StudyRequest& request = arguments.request;
  request.out = arguments.out;
  take_posts(arguments);
  const std::vector<Stage> stages = study_stages(request);
  if (arguments.plan) {
    const Plan plan = plan_of(request, stages);
    if (arguments.json) fmt::print("{}", plan_json(plan));
    if (!arguments.json) print_plan(request, plan);
    return kDone;
  }
  return run_stages(arguments, stages);
}

void add_study_options(CLI::App& command, StudyArguments& arguments) {
  StudyRequest& request = arguments.request;
  command.add_option("--sibling", arguments.sibling, "The model of eq. 12 [of all posts but the first, the first]")
      ->type_name("DIR");
  command.add_option("--control", request.controls, "Controls of the diff, as gyro diff takes them")->type_name("DIR");
  command
      .add_option("--tasks,--task", request.tasks,
                  "What to ask, as gyro eval takes it; without tasks nothing is evaluated")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->type_name("TASK");
  command.add_option("--data", request.data, "Folder where tasks are found by name")->type_name("DIR");
  command
      .add_option("--questions", request.questions,
                  "File of questions that probes put [those of the tasks, else built-in sums in words]")
      ->type_name("FILE");
  command.add_option("--limit", request.limit, "Only so many questions of each task")
      ->check(whole_number_from(1, int64_t{1} << 30));
  command.add_option("--count", request.count, "Questions of CKA and drift")
      ->check(whole_number_from(4, 100000))
      ->capture_default_str();
  command.add_option("--repeats", request.repeats, "Answers to each question of a task")
      ->check(whole_number_from(1, 1000))
      ->capture_default_str();
  command.add_option("-n,--max-tokens", request.max_tokens, "Most tokens of an answer")
      ->check(whole_number_from(1, int64_t{1} << 20))
      ->capture_default_str();
  command.add_option("--dtype", request.dtype, "That models run in: f32, bf16, f16 [f32]")
      ->check(one_of({"f32", "bf16", "f16"}));
  command.add_option("--device", request.device, "Where to compute")
      ->check(one_of({"cpu", "cuda"}))
      ->capture_default_str();
  command.add_option("-t,--threads", request.threads, "Threads [all processors]")
      ->check(whole_number_from(1, kMostThreads));
  command.add_option("--memory", request.memory, "Memory that matrices may take at once [80 % of what is free]");
  command.add_option("--seed", request.seed, "Seed of every draw")->capture_default_str();
}

}  // namespace

void add_study_command(CLI::App& app, int& exit_code) {
  auto* command =
      app.add_subcommand("study", "The whole paper on a base and its posts: diff, constructions, answers, probes");
  auto arguments = std::make_shared<StudyArguments>();
  command->add_option("BASE", arguments->request.base, "Folder of the base checkpoint")->required()->type_name("DIR");
  command->add_option("POST", arguments->posts, "Folders of post-trained checkpoints, or NAME=DIR to call one NAME")
      ->required()
      ->type_name("DIR");
  command->add_option("-o,--out", arguments->out, "Folder of the study; one that was begun goes on")
      ->required()
      ->type_name("DIR");
  add_study_options(*command, *arguments);
  command->add_flag("--plan", arguments->plan,
                    "Say what would be done, read and held, how long it takes about, and in which commands");
  command->add_flag("--force", arguments->request.force, "Write over what is of other models or options");
  command->add_flag("--json", arguments->json, "Print claims.json's content, or the plan, as JSON");
  command->add_flag("-q,--quiet", arguments->quiet, "Print nothing but errors");
  command->footer(
      "Each stage is a command that --plan prints; what is finished is not done again.\n"
      "Examples:\n"
      "  gyro study base instruct --out study\n"
      "  gyro study base instruct reasoning --tasks gsm8k,math500,mmlu,gpqa --data ~/tasks --out study --plan\n"
      "  gyro study base instruct reasoning --tasks gsm8k=test.jsonl --limit 200 --control base2 noise --out study");
  command->callback([arguments, &exit_code] { exit_code = run(*arguments); });
}

}  // namespace gyro
