#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <memory>

#include "gyro/base/error.h"
#include "gyro/base/limits.h"
#include "gyro/base/progress.h"
#include "gyro/base/team.h"
#include "gyro/cli/commands.h"
#include "gyro/cli/engine_options.h"
#include "gyro/cli/probe.h"
#include "gyro/cli/probe_document.h"
#include "gyro/cli/probe_drift_words.h"
#include "gyro/cli/terminal.h"
#include "gyro/diff/result_files.h"
#include "gyro/diff/runner.h"

namespace gyro {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kFile = "drift.json";

struct DriftArguments {
  ProbeArguments probe;
  std::string result;
};

// A diff of the two, made before.
struct Diff {
  Comparison comparison;
  std::string fingerprint;
};

Diff read_diff(const std::string& folder, const std::string& base, const std::string& post) {
  const std::optional<DiffResult> result = find_result(folder);
  if (!result) fail({ErrorKind::NotFound, "result"}, folder, "has no result.json of gyro diff");
  if (result->base.sha256 == base) {
    for (const Comparison& comparison : result->comparisons) {
      if (comparison.role == Role::Post && comparison.post.sha256 == post) return {comparison, result->fingerprint};
    }
  }
  fail({ErrorKind::Input, "result"}, folder, "its result.json is of other models");
}

Comparison make_diff(const ProbeArguments& arguments, const Probed& probed, const RunOptions& how) {
  DiffRequest request;
  request.base = arguments.base;
  request.posts = {arguments.engine.model};
  request.opened = {{arguments.base, probed.base}, {arguments.engine.model, probed.chat.loaded.source}};
  request.null_draws = 0;
  request.seed = arguments.seed;
  request.run = how;
  request.warn = [](const std::string&) {};
  DiffOutcome outcome = run_diff(request);
  if (!outcome.result) throw Stopped{};
  return std::move(outcome.result->comparisons.front());
}

int threads_of(const EngineArguments& engine) {
  return engine.threads > 0 ? engine.threads : available_processors();
}

DriftReport measure(const ProbeArguments& arguments, Probed& probed, const Lens& base_lens,
                    std::vector<BlockWeights> weights, const ProgressSink& sink) {
  Engine base_engine(*probed.base, engine_options(arguments.engine));
  const Lens post_lens = open_lens(probed.chat.loaded.source);
  const DriftModel base{base_engine, base_lens}, post{probed.engine(), post_lens};
  const size_t runs = probed.prompts.size() * probed.names.size();
  Progress progress("prompts", static_cast<int>(runs), static_cast<double>(runs), sink);
  const auto drift_of = [&](size_t variant) {
    progress.begin(probed.names[variant]);
    probed.load(variant);
    return measure_drift(base, post, probed.prompts, threads_of(arguments.engine), [&] { progress.advance(1, 1); });
  };
  Drift of_post = drift_of(0);
  return {std::move(of_post), drift_of(1), std::move(weights)};
}

Json to_json(const BlockDrift& block) {
  return {{"cosine", {{"mean", block.cosine_mean}, {"sd", block.cosine_sd}}},
          {"norm_ratio", block.norm_ratio},
          {"relative_difference", block.relative_difference},
          {"lens_kl", {{"mean", block.lens.kl_mean}, {"se", block.lens.kl_se}}},
          {"lens_top1_agreement", block.lens.top1_agreement}};
}

Json to_json(const DistributionDrift& drift) {
  return {{"kl_mean", drift.kl_mean}, {"kl_se", drift.kl_se}, {"top1_agreement", drift.top1_agreement}};
}

Json to_json(const BlockWeights& weights) {
  return {{"matrices", weights.matrices},
          {"nf_mean", weights.nf_mean},
          {"nf_robust_mean", weights.nf_robust_mean},
          {"nf_over_null", weights.nf_over_null},
          {"alpha_mean", weights.alpha_mean},
          {"relative_change", weights.relative_change},
          {"counter_over_co", weights.counter_over_co}};
}

Json block_json(const DriftReport& report, size_t i) {
  const DriftContrast over = contrast(report.post.blocks[i], report.noise.blocks[i]);
  Json out = {{"block", i}};
  out.update(to_json(report.post.blocks[i]));
  out.update({{"noise", to_json(report.noise.blocks[i])},
              {"over_noise", {{"ratio", over.ratio}, {"z", over.z}, {"verdict", verdict_name(over.verdict)}}},
              {"weights", to_json(report.weights[i])}});
  return out;
}

Json document_of(Json head, Probed& probed, const DriftReport& report, const std::vector<std::string>& sentences) {
  Json subjects = Json::array(), blocks = Json::array();
  for (size_t i = 0; i < probed.names.size(); ++i) subjects.push_back(subject_json(probed.subject(i)));
  for (size_t i = 0; i < report.post.blocks.size(); ++i) blocks.push_back(block_json(report, i));
  size_t tokens = 0;
  for (const ProbePrompt& prompt : probed.prompts) tokens += prompt.ids.size();
  Json next_token = to_json(report.post.next_token);
  next_token["noise"] = to_json(report.noise.next_token);
  const RankCorrelation ranks = weights_against_drift(report);
  head.update({{"layers", blocks.size()},
               {"tokens", tokens},
               {"subjects", subjects},
               {"next_token", next_token},
               {"embedding", {{"relative_difference", report.post.embedding}}},
               {"blocks", blocks},
               {"rank_correlation", {{"rho", ranks.rho}, {"p", ranks.p}}},
               {"sentences", sentences}});
  return head;
}

int run(const DriftArguments& arguments, const RunOptions& how) {
  const ProbeArguments& probe = arguments.probe;
  if (std::filesystem::path(probe.engine.model).extension() == ".gguf") {
    throw CLI::ValidationError("POST", "is the folder of a checkpoint, not a GGUF file");
  }
  Probed probed = open_probed(probe, how);
  const Lens base_lens = open_lens(probed.base);
  check_comparable(base_lens, probed.engine(), probed.prompts);
  std::optional<Diff> diff;
  if (!arguments.result.empty()) {
    diff = read_diff(arguments.result, probed.base->identity(), probed.chat.loaded.source->identity());
  }
  Json head = probe_head("gyro.probe.drift/1", probe, probed, {{"diff", diff ? Json(diff->fingerprint) : Json()}});
  if (is_kept(probe, kFile, head)) return kDone;
  const Comparison comparison = diff ? std::move(diff->comparison) : make_diff(probe, probed, how);
  const DriftReport report =
      measure(probe, probed, base_lens, block_weights(comparison.matrices, probed.engine().layers()), how.progress);
  const std::vector<std::string> sentences = drift_sentences(report);
  if (!keep_document(probe, kFile, document_of(std::move(head), probed, report, sentences))) return kDone;
  const Terminal terminal = terminal_of(STDOUT_FILENO);
  fmt::print("{}", text_table(drift_table(report), terminal.width));
  fmt::print("{}", wrapped("noise: the base with noise of the norm of post − base; lens: the block's output read by "
                           "final norm and unembedding; ΔW: relative change of the block's matrices.",
                           terminal.width, "  "));
  for (const std::string& sentence : sentences) fmt::print("{}", wrapped(sentence, terminal.width, "  "));
  print_kept(probe, kFile);
  return kDone;
}

}  // namespace

void add_probe_drift_command(CLI::App& probe, int& exit_code) {
  auto* command = probe.add_subcommand("drift", "How far base and post part, block by block, beside their weights");
  auto arguments = std::make_shared<DriftArguments>();
  arguments->probe.variants = {"noise"};
  command->add_option("BASE", arguments->probe.base, "Folder of the base checkpoint")->required()->type_name("DIR");
  command->add_option("POST", arguments->probe.engine.model, "Folder of the post-trained checkpoint")
      ->required()
      ->type_name("DIR");
  command
      ->add_option("--result", arguments->result,
                   "Folder of a gyro diff of the two, which is else made of their weights")
      ->type_name("DIR");
  add_probe_options(*command, arguments->probe, 100);
  command->footer(
      "Both read the same tokens, as the post's template and tokenizer make them.\n"
      "Examples:\n"
      "  gyro probe drift base instruct --questions gsm8k=test.jsonl --out probes\n"
      "  gyro probe drift base instruct --questions data/tiny_gsm8k.jsonl --count 20 --result diff --json");
  command->callback([arguments, &exit_code] {
    exit_code = run_probe(arguments->probe, [&](const RunOptions& how) { return run(*arguments, how); });
  });
}

}  // namespace gyro
