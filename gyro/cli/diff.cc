#include <fmt/format.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <string>
#include <vector>

#include "gyro/base/error.h"
#include "gyro/cli/commands.h"
#include "gyro/cli/diff_table.h"
#include "gyro/diff/runner.h"

namespace gyro {
namespace {

std::atomic<int> interrupts = 0;

// The first Ctrl-C lets the matrices at hand finish; the second ends at once (the journal is whole after each matrix).
extern "C" void on_interrupt(int) {
  if (++interrupts > 1) _exit(kInterrupted);
}

void catch_interrupts() {
  struct sigaction action {};
  action.sa_handler = on_interrupt;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

int64_t parse_layer(const std::string& text) {
  size_t used = 0;
  int64_t layer = 0;
  try {
    layer = std::stoll(text, &used);
  } catch (const std::exception&) {
    used = 0;
  }
  if (used == 0 || used != text.size()) throw CLI::ValidationError("--layers", "'" + text + "' is not a layer number");
  return layer;
}

// "0", "-1", "0-3": a dash that does not begin the text separates the ends of a range.
void add_layers(const std::string& text, std::vector<int64_t>& layers) {
  const size_t dash = text.find('-', 1);
  if (dash == std::string::npos) return layers.push_back(parse_layer(text));
  const int64_t first = parse_layer(text.substr(0, dash)), last = parse_layer(text.substr(dash + 1));
  if (first < 0 || last < first || last - first > 100000) {
    throw CLI::ValidationError("--layers", "'" + text + "' is not a range of layers");
  }
  for (int64_t layer = first; layer <= last; ++layer) layers.push_back(layer);
}

struct DiffArguments {
  DiffRequest request;
  std::vector<std::string> layers, types;
  std::string out, device = "cpu";
  bool json = false, quiet = false;
};

void complete_request(DiffArguments& arguments) {
  DiffRequest& request = arguments.request;
  for (const std::string& text : arguments.layers) add_layers(text, request.layers);
  for (const std::string& text : arguments.types) {
    const auto type = type_from_name(text);
    if (!type)
      throw CLI::ValidationError(
          "--types", "'" + text + "' is not a matrix type (W_Q W_K W_V W_O W_gate W_up W_down W_QKV W_gate_up)");
    request.types.push_back(*type);
  }
  request.out = arguments.out;
  request.progress = !arguments.quiet;
  request.stop = [] { return interrupts > 0; };
  request.warn = [quiet = arguments.quiet](const std::string& text) {
    if (!quiet) fmt::print(stderr, "gyro: warning: {}\n", printable(text));
  };
}

int run(DiffArguments& arguments) {
  complete_request(arguments);
  if (arguments.device == "cuda") fail("--device", "cuda is not in this build");
  catch_interrupts();
  const DiffOutcome outcome = run_diff(arguments.request);
  if (outcome.document.is_null()) {
    const std::string next =
        arguments.out.empty() ? "nothing is kept without --out" : "the same command goes on from there";
    fmt::print(stderr, "gyro: interrupted after {} of {} matrices; {}\n", outcome.done, outcome.total, next);
    return kInterrupted;
  }
  if (arguments.json) {
    fmt::print("{}\n", outcome.document.dump(1, ' ', false, Json::error_handler_t::replace));
  } else if (!arguments.quiet) {
    fmt::print("{}", diff_table(outcome.document));
    if (!arguments.out.empty()) fmt::print("\nWrote {0}/result.json and {0}/arrays.safetensors\n", arguments.out);
  }
  if (std::fflush(stdout) != 0) fail("standard output", "cannot write");
  return kDone;
}

}  // namespace

void add_diff_command(CLI::App& app, int& exit_code) {
  auto* command = app.add_subcommand("diff", "Compare a base checkpoint with its post-trained descendants");
  auto arguments = std::make_shared<DiffArguments>();
  DiffRequest& request = arguments->request;
  command->add_option("BASE", request.base, "Folder of the base checkpoint (Hugging Face layout)")->required();
  command->add_option("POST", request.posts, "Folders of post-trained checkpoints")->required();
  command->add_option("--control", request.controls,
                      "Controls compared in the same way: another base's folder, or 'noise'");
  command->add_option("-o,--out", arguments->out,
                      "Folder for result.json and arrays.safetensors; without it nothing is kept");
  command->add_flag("--force", request.force, "Overwrite a folder that holds something else");
  command->add_option("--layers", arguments->layers, "Layers to compare, such as 0,5-8,-1")->delimiter(',');
  command->add_option("--types", arguments->types, "Matrix types to compare, such as W_Q,W_O")->delimiter(',');
  command->add_option("--null-draws", request.null_draws, "Samples of the null model a matrix, singular values only")
      ->check(CLI::Range(0, 10000))
      ->capture_default_str();
  command
      ->add_option("--null-nf-draws", request.null_nf_draws, "Samples of the null model with singular vectors, for NF")
      ->check(CLI::Range(0, 10000))
      ->capture_default_str();
  command->add_option("--seed", request.seed, "Seed of every draw")->capture_default_str();
  command->add_option("--device", arguments->device, "Where to compute")
      ->check(CLI::IsMember({"cpu", "cuda"}))
      ->capture_default_str();
  command->add_option("-t,--threads", request.threads, "Matrices worked on at once [all processors]")
      ->check(CLI::Range(1, 4096));
  command->add_flag("--json", arguments->json, "Print result.json's content instead of the table");
  command->add_flag("-q,--quiet", arguments->quiet, "Print nothing but errors");
  command->footer(
      "Examples:\n"
      "  gyro diff Qwen2.5-1.5B Qwen2.5-1.5B-Instruct\n"
      "  gyro diff base instruct reasoning --control base2 --out result\n"
      "  gyro diff base instruct --control noise --layers 0,13,-1 --types W_O\n"
      "  gyro diff base instruct --json | jq '.comparisons[0].findings[].text'");
  command->callback([arguments, &exit_code] { exit_code = run(*arguments); });
}

}  // namespace gyro
