#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "gyro/base/error.h"
#include "gyro/cli/commands.h"
#include "gyro/cli/diff_text.h"
#include "gyro/cli/interrupt.h"
#include "gyro/cli/parse.h"
#include "gyro/cli/progress.h"
#include "gyro/cli/report.h"
#include "gyro/cli/run_options.h"
#include "gyro/cli/subjects.h"
#include "gyro/cli/terminal.h"
#include "gyro/diff/result_json.h"
#include "gyro/diff/result_names.h"
#include "gyro/diff/runner.h"

namespace gyro {
namespace {

constexpr std::string_view kNone = "none";

struct DiffArguments {
  DiffRequest request;
  std::vector<std::string> layers, types, experts, measures;
  std::string out, plotly = "inline", format = "table";
  CLI::Option* plotly_option = nullptr;
  bool json = false;
  RunArguments run;
};

std::string what_is_left(const DiffArguments& arguments) {
  return arguments.out.empty() ? "nothing is kept without --out" : "the same command goes on from there";
}

// The controls that a run has: what is written to be looked at has its noise beside it, unless controls were chosen.
void complete_controls(DiffRequest& request) {
  std::vector<std::string>& controls = request.controls;
  if (controls.empty() && !request.out.empty()) controls = {std::string(kNoise)};
  if (std::count(controls.begin(), controls.end(), kNone) == 0) return;
  if (controls.size() > 1) throw CLI::ValidationError("--control", "'none' goes with no other control");
  controls.clear();
}

// "NAME=PATH" gives the model at PATH a name, by which nothing else is called.
void take_name(DiffRequest& request, const char* option, std::string& model) {
  const auto [name, path] = split_name(model);
  model = path;
  if (name.empty()) return;
  for (const auto& [other, known] : request.names) {
    if (known == name) throw CLI::ValidationError(option, fmt::format("the name '{}' is given twice", name));
  }
  if (const auto [known, is_new] = request.names.emplace(path, name); !is_new)
    throw CLI::ValidationError(option, fmt::format("'{}' has two names, '{}' and '{}'", path, known->second, name));
}

void take_names(DiffRequest& request) {
  take_name(request, "BASE", request.base);
  for (std::string& post : request.posts) take_name(request, "POST", post);
  for (std::string& control : request.controls) take_name(request, "--control", control);
}

// Each measure once, in the order in which they are known.
std::vector<Measure> measures_of(const std::vector<std::string>& names) {
  std::vector<Measure> measures;
  for (const auto& [measure, name] : kNames<Measure>) {
    if (std::count(names.begin(), names.end(), name) > 0) measures.push_back(measure);
  }
  return measures;
}

void complete_request(DiffArguments& arguments) {
  DiffRequest& request = arguments.request;
  request.layers = parse_layers(arguments.layers);
  request.types = parse_types(arguments.types);
  request.experts = parse_experts(arguments.experts);
  request.measures = measures_of(arguments.measures);
  const bool asks_posts = std::count(request.measures.begin(), request.measures.end(), Measure::Interference) > 0;
  if (request.posts.size() < 2 && (request.trajectory || asks_posts))
    throw CLI::ValidationError(request.trajectory ? "--trajectory" : "--measure interference",
                               "needs two POSTs or more");
  request.out = arguments.out;
  complete_controls(request);
  take_names(request);
  request.command = command_line();
  request.run = run_options(arguments.run, what_is_left(arguments));
  request.warn = [quiet = arguments.run.quiet](const std::string& text) {
    if (!quiet) fmt::print(stderr, "gyro: warning: {}\n", printable(text, 1000));
  };
}

// Whether the folder has its page. A result that is whole is no failure for want of a page that could hold it.
bool write_page(const DiffArguments& arguments, bool is_new) {
  try {
    write_folder_report(arguments.out,
                        {.plotly = plotly_mode(arguments.plotly), .threads = arguments.request.run.threads},
                        is_new || arguments.plotly_option->count() > 0, arguments.request.warn);
    return true;
  } catch (const ReportTooLarge&) {
    arguments.request.warn(fmt::format("{}: report.html is not written: the result is too large for one page of {} MB",
                                       arguments.out, kReportLimit / 1'000'000));
    return false;
  }
}

std::string formatted(const DiffResult& result, const std::string& format) {
  if (format == "json") return result_text(result) + "\n";
  if (format == "csv") return diff_csv(result);
  if (format == "md") return diff_markdown(result);
  if (format == "latex") return diff_latex(result);
  return diff_text(result, terminal_of(STDOUT_FILENO));
}

// "35 matrices in 6 s, 8 of them kept from an earlier run", and where what was written is.
std::string closing_line(const DiffArguments& arguments, const DiffOutcome& outcome, double seconds, bool has_page) {
  std::string line =
      fmt::format("{} {} in {}", outcome.total, outcome.total == 1 ? "matrix" : "matrices", format_duration(seconds));
  if (outcome.kept > 0)
    line += outcome.kept == outcome.total ? ", all of them kept from an earlier run"
                                          : fmt::format(", {} of them kept from an earlier run", outcome.kept);
  if (arguments.out.empty()) return line;
  const std::string& out = arguments.out;
  return line + fmt::format("; wrote {0}/result.json{1} {0}/arrays.safetensors{2}", out, has_page ? "," : " and",
                            has_page ? fmt::format(" and {}/report.html", out) : "");
}

int run(DiffArguments& arguments) {
  const auto began = std::chrono::steady_clock::now();
  if (arguments.json) arguments.format = "json";
  complete_request(arguments);
  const DiffOutcome outcome = run_diff(arguments.request);
  if (!outcome.result) {
    fmt::print(stderr, "gyro: interrupted after {} of {} matrices; {}\n", outcome.done, outcome.total,
               what_is_left(arguments));
    return kInterrupted;
  }
  const bool has_page = !arguments.out.empty() && write_page(arguments, outcome.kept == 0);
  const bool table = arguments.format == "table";
  if (!table || !arguments.run.quiet) fmt::print("{}", formatted(*outcome.result, arguments.format));
  if (table && !arguments.run.quiet) {
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
    fmt::print("\n{}\n", closing_line(arguments, outcome, took.count(), has_page));
  }
  return kDone;
}

}  // namespace

void add_diff_command(CLI::App& app, int& exit_code) {
  auto* command = app.add_subcommand("diff", "Compare a base checkpoint with its post-trained descendants");
  auto arguments = std::make_shared<DiffArguments>();
  DiffRequest& request = arguments->request;
  command->add_option("BASE", request.base, "Folder of the base checkpoint (Hugging Face layout), or NAME=DIR")
      ->required()
      ->type_name("DIR");
  command->add_option("POST", request.posts, "Folders of post-trained checkpoints, or NAME=DIR to call one NAME")
      ->required()
      ->type_name("DIR");
  command
      ->add_option("--control", request.controls,
                   "Controls compared in the same way: another base's folder; 'noise', gaussian noise of the size of "
                   "each post's change, which takes as long as a post (with --out the default); or 'none'")
      ->type_name("DIR");
  command
      ->add_option("-o,--out", arguments->out,
                   "Folder for result.json, arrays.safetensors and report.html; without it nothing is kept")
      ->type_name("DIR");
  command->add_flag("--force", request.force, "Overwrite a folder that holds something else");
  command->add_option("--layers", arguments->layers, "Layers to compare, such as 0,5-8,-1")->delimiter(',');
  command->add_option("--types", arguments->types, "Matrix types to compare, such as W_Q,W_O")->delimiter(',');
  command
      ->add_option("--experts", arguments->experts,
                   "Of a mixture's experts those to compare, such as 0,5-8; matrices that no expert has stay")
      ->delimiter(',');
  command->add_flag(
      "--trajectory", request.trajectory,
      "The POSTs are checkpoints of one run, in order: how each figure goes with them, and when it turned");
  command
      ->add_option(
          "--measure", arguments->measures,
          "What else to measure, each beside its null: update-spectrum (ranks of the change), masks (where the "
          "weights lie that changed), interference (of several posts)")
      ->delimiter(',')
      ->check(one_of({"update-spectrum", "masks", "interference"}))
      ->type_name("NAME");
  command
      ->add_option("--null-draws", request.null_draws,
                   "Samples of the null model a matrix, singular values only; small matrices without a "
                   "closed form get up to 16, unless this is 0")
      ->check(whole_number_from(0, 10000))
      ->capture_default_str();
  command
      ->add_option("--null-nf-draws", request.null_nf_draws, "Samples of the null model with singular vectors, for NF")
      ->check(whole_number_from(0, 10000))
      ->capture_default_str();
  command->add_option("--seed", request.seed, "Seed of every draw")->capture_default_str();
  arguments->plotly_option = add_plotly_option(*command, arguments->plotly);
  command
      ->add_option("--format", arguments->format,
                   "What to print: table, md, latex (the tables), csv (a line a matrix), json")
      ->check(one_of({"table", "md", "csv", "latex", "json"}))
      ->capture_default_str();
  command->add_flag("--json", arguments->json, "As --format json: result.json's content");
  add_run_options(*command, arguments->run);
  command->footer(
      "Examples:\n"
      "  gyro diff Qwen2.5-1.5B Qwen2.5-1.5B-Instruct\n"
      "  gyro diff base instruct reasoning --control base2 noise --out result\n"
      "  gyro diff base instruct --control noise --layers 0,13,-1 --types W_O\n"
      "  gyro diff base sft=runs/3/final rl=runs/7/final --format md\n"
      "  gyro diff base checkpoint-500 checkpoint-1000 checkpoint-1500 --trajectory --out run\n"
      "  gyro diff base instruct --json | jq '.comparisons[0].findings[].text'");
  command->callback([arguments, &exit_code] { exit_code = run(*arguments); });
}

}  // namespace gyro
