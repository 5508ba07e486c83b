#include "gyro/cli/engine_options.h"

#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>

#include "gyro/base/cleanup.h"
#include "gyro/cli/commands.h"
#include "gyro/cli/parse.h"
#include "gyro/cli/subjects.h"
#include "gyro/infer/library.h"

namespace gyro {

void add_engine_options(CLI::App& command, EngineArguments& arguments) {
  command.add_option("--dtype", arguments.dtype, "What a checkpoint's weights are run in: f32, bf16, f16, keep [f32]")
      ->type_name("TEXT");
  command.add_option("--pre", arguments.pre, "llama.cpp's name of the pre-tokenizer, if it is not recognised")
      ->type_name("NAME");
  command.add_option("--device", arguments.device, "Where to run")
      ->check(one_of({"cpu", "cuda"}))
      ->capture_default_str();
  command.add_option("-t,--threads", arguments.threads, "Threads [all processors]")
      ->check(whole_number_from(1, kMostThreads));
}

EngineOptions engine_options(const EngineArguments& arguments) {
  EngineOptions options;
  options.dtype = parse_dtype(arguments.dtype.value_or(kUsualDtype));
  options.threads = arguments.threads;
  options.on_gpu = arguments.device == "cuda";
  return options;
}

LoadedModel load_model(const EngineArguments& arguments, bool quiet, const std::shared_ptr<const TensorSource>& base) {
  const bool as_it_is = std::filesystem::path(arguments.model).extension() == ".gguf";
  return load_model(arguments, as_it_is ? nullptr : open_subject(arguments.model, quiet, base));
}

LoadedModel load_model(const EngineArguments& arguments, std::shared_ptr<const TensorSource> source) {
  // What llama.cpp takes for impossible ends the process, and there is no way back from it.
  report_aborts([](const std::string& reason) {
    fmt::print(stderr, "gyro: error: model: llama.cpp gives up on it: {}\n", reason);
    clean_up();
    _exit(kFailed);
  });
  EngineOptions options = engine_options(arguments);
  if (source) return load_model(std::move(source), options, arguments.pre);
  if (!arguments.dtype) options.dtype.reset();
  return load_model(std::filesystem::path(arguments.model), options, arguments.pre);
}

}  // namespace gyro
