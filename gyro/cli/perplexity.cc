#include "gyro/infer/perplexity.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "gyro/base/file.h"
#include "gyro/base/progress.h"
#include "gyro/cli/commands.h"
#include "gyro/cli/engine_options.h"
#include "gyro/cli/parse.h"
#include "gyro/cli/progress.h"

namespace gyro {
namespace {

constexpr int64_t kUsualContext = 2048;

struct PerplexityArguments {
  EngineArguments engine;
  std::string text;
  int64_t context = 0;
  bool json = false, quiet = false;
};

void print_result(const Perplexity& result, size_t tokens, const PerplexityArguments& arguments) {
  if (arguments.json) {
    const nlohmann::ordered_json json = {
        {"model", arguments.engine.model}, {"text", arguments.text},    {"tokens", tokens},
        {"predicted", result.predicted},   {"context", result.context}, {"nll", result.nll},
        {"perplexity", result.value()}};
    fmt::print("{}\n", json.dump(2));
    return;
  }
  if (arguments.quiet) return;
  fmt::print("perplexity {:.4f}: {:.6f} nats a token, of {} tokens in windows of {}\n", result.value(), result.nll,
             result.predicted, result.context);
}

int run(const PerplexityArguments& arguments) {
  const std::string text = read_file(arguments.text, kMostTextBytes);
  LoadedModel model = load_model(arguments.engine, arguments.quiet);
  const std::vector<int32_t> ids = tokens_of(model, text, SpecialTokens::AsConfigured);
  const int64_t context = arguments.context > 0 ? arguments.context : std::min(kUsualContext, model.engine.context());
  const auto total = static_cast<int64_t>(ids.size());
  Perplexity result;
  {
    const bool silent = arguments.quiet || arguments.json;
    Progress progress("tokens", static_cast<int>(total), static_cast<double>(total),
                      silent ? ProgressSink() : stderr_progress());
    int64_t behind = 0;
    result = measure_perplexity(model.engine, ids, context, [&](int64_t done) {
      progress.advance(static_cast<int>(done - behind), static_cast<double>(done - behind));
      behind = done;
    });
  }
  print_result(result, ids.size(), arguments);
  return kDone;
}

}  // namespace

void add_perplexity_command(CLI::App& app, int& exit_code) {
  auto* command = app.add_subcommand("perplexity", "How well a model predicts a text");
  auto arguments = std::make_shared<PerplexityArguments>();
  command->add_option("MODEL", arguments->engine.model, "Folder of a checkpoint, or a .gguf file")
      ->required()
      ->type_name("PATH");
  command->add_option("--text", arguments->text, "The text, UTF-8")->required()->type_name("FILE");
  command->add_option("--context", arguments->context, "Tokens of a window [2048, or the model's positions if fewer]")
      ->check(whole_number_from(2, int64_t{1} << 30));
  add_engine_options(*command, arguments->engine);
  command->add_flag("--json", arguments->json, "Print the result as JSON");
  command->add_flag("-q,--quiet", arguments->quiet, "Print nothing but errors");
  command->footer(
      "The whole text is tokenised, with the beginning-of-text token where the model's tokenizer puts one, and cut "
      "into\n"
      "windows that share nothing. In each, every token but the first is predicted from those before it; the "
      "perplexity "
      "is\n"
      "exp of the mean negative log probability over all of them.\n"
      "Examples:\n"
      "  gyro perplexity instruct --text wiki.test.raw\n"
      "  gyro perplexity instruct.gguf --text wiki.test.raw --context 512 --json");
  command->callback([arguments, &exit_code] { exit_code = run(*arguments); });
}

}  // namespace gyro
