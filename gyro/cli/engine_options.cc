#include "gyro/cli/engine_options.h"

#include <optional>

#include "gyro/cli/parse.h"

namespace gyro {

void add_engine_options(CLI::App& command, EngineArguments& arguments) {
  command.add_option("--dtype", arguments.dtype, "What a checkpoint's weights are run in: f32, bf16, f16, keep")
      ->capture_default_str();
  command.add_option("--pre", arguments.pre, "llama.cpp's name of the pre-tokenizer, if it is not recognised")
      ->type_name("NAME");
  command.add_option("--device", arguments.device, "Where to run")
      ->check(one_of({"cpu", "cuda"}))
      ->capture_default_str();
  command.add_option("-t,--threads", arguments.threads, "Threads [all processors]")->check(whole_number_from(1, 4096));
}

LoadedModel load_model(const EngineArguments& arguments) {
  EngineOptions options;
  options.dtype = parse_dtype(arguments.dtype);
  options.threads = arguments.threads;
  options.on_gpu = arguments.device == "cuda";
  return load_model(arguments.model, options, arguments.pre.empty() ? std::nullopt : std::optional(arguments.pre));
}

}  // namespace gyro
