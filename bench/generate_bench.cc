// generate_bench MODEL QUESTIONS.jsonl [--prompts 32] [--slots 32] [--tokens 64] [--threads 2] [--dtype BF16|F32]
// [--gpu] Times, on one loaded model: `generate` up to the model's end tokens, `generate` of --tokens each whatever
// they are, and a bare loop of llama_decode with as many sequences and steps, as llama.cpp's own batched benchmark runs
// it. One JSON line for bench/generate.py, which starts it.
#include <fmt/core.h>
#include <fmt/ranges.h>
#include <llama.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <fstream>
#include <nlohmann/json.hpp>

#include "gyro/checkpoint/checkpoint.h"
#include "gyro/infer/batch.h"
#include "gyro/infer/chat_template.h"
#include "gyro/infer/engine.h"
#include "gyro/infer/generate.h"
#include "gyro/infer/tokenize.h"

namespace {

using namespace gyro;

struct Arguments {
  std::string model, questions, dtype = "BF16";
  size_t prompts = 32;
  int slots = 32, threads = 2;
  int64_t tokens = 64;
  bool gpu = false;
};

double since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

std::vector<GeneratePrompt> read_prompts(const Arguments& arguments, const Vocabulary& vocabulary,
                                         const Engine& engine) {
  const ChatTemplate chat("chat template", vocabulary.chat_template);
  ChatContext context;
  context.bos_token = vocabulary.text_of(vocabulary.bos);
  context.eos_token = vocabulary.text_of(vocabulary.eos);
  std::vector<GeneratePrompt> prompts;
  std::ifstream in(arguments.questions);
  for (std::string line; prompts.size() < arguments.prompts && std::getline(in, line);) {
    const ChatMessage message{"user", nlohmann::json::parse(line).at("question")};
    prompts.push_back({tokenize(engine.vocab(), &vocabulary, chat.render({&message, 1}, context), SpecialTokens::None),
                       prompts.size()});
  }
  return prompts;
}

nlohmann::json timed(const Engine& engine, const std::vector<GeneratePrompt>& prompts, std::span<const int32_t> ends,
                     const Arguments& arguments) {
  const auto start = std::chrono::steady_clock::now();
  const Generations done = generate(engine, prompts, ends,
                                    {.sampler = {.temperature = 0},
                                     .max_tokens = arguments.tokens,
                                     .slots = arguments.slots,
                                     .log_probabilities = false});
  const double seconds = since(start);
  std::vector<std::vector<int32_t>> ids;
  for (const Generation& text : done.texts) ids.push_back(text.ids);
  return {{"seconds", seconds}, {"new_tokens", done.new_tokens}, {"prompt_tokens", done.prompt_tokens}, {"ids", ids}};
}

// Steps of one token a sequence after prompts of one length, logits left where they are.
nlohmann::json bare(const Engine& engine, int64_t prompt, const Arguments& arguments) {
  const int32_t sequences = arguments.slots;
  const auto start = std::chrono::steady_clock::now();
  llama_context_params params = llama_context_default_params();
  params.n_seq_max = static_cast<uint32_t>(sequences);
  params.n_ctx = static_cast<uint32_t>((prompt + arguments.tokens + 255) / 256 * 256 * sequences);
  params.n_threads = params.n_threads_batch = arguments.threads;
  llama_context* context = llama_init_from_model(const_cast<llama_model*>(engine.model()), params);
  if (context == nullptr) throw std::runtime_error("llama.cpp makes no context of so many slots");
  Batch batch(std::max<int64_t>(sequences, prompt));
  const auto add = [&](int32_t sequence, int64_t position, bool output) {
    batch.add(100 + batch.batch.n_tokens, position, sequence, output);
  };
  for (int32_t s = 0; s < sequences; ++s) {
    batch.clear();
    for (int64_t i = 0; i < prompt; ++i) add(s, i, i + 1 == prompt);
    if (llama_decode(context, batch.batch) != 0) throw std::runtime_error("llama_decode failed");
  }
  llama_synchronize(context);
  const double prompts = since(start);
  for (int64_t step = 1; step < arguments.tokens; ++step) {
    batch.clear();
    for (int32_t s = 0; s < sequences; ++s) add(s, prompt + step - 1, true);
    if (llama_decode(context, batch.batch) != 0) throw std::runtime_error("llama_decode failed");
  }
  llama_synchronize(context);
  const double seconds = since(start);
  llama_free(context);
  return {{"seconds", seconds}, {"prompt_seconds", prompts}, {"new_tokens", arguments.tokens * sequences}};
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  CLI::App app("Times generation on one loaded model");
  app.add_option("model", arguments.model)->required();
  app.add_option("questions", arguments.questions)->required();
  app.add_option("--prompts", arguments.prompts);
  app.add_option("--slots", arguments.slots);
  app.add_option("--tokens", arguments.tokens);
  app.add_option("--threads", arguments.threads);
  app.add_option("--dtype", arguments.dtype)->check(CLI::IsMember({"BF16", "F32"}));
  app.add_flag("--gpu", arguments.gpu);
  CLI11_PARSE(app, argc, argv);
  const Checkpoint source(arguments.model);
  const auto start = std::chrono::steady_clock::now();
  const Vocabulary vocabulary = read_vocabulary(source, std::nullopt, source.find("model.embed_tokens.weight")->rows());
  const Engine engine(source, {.dtype = arguments.dtype == "F32" ? DType::F32 : DType::BF16,
                               .threads = arguments.threads,
                               .on_gpu = arguments.gpu,
                               .vocabulary = &vocabulary});
  const double load = since(start);
  const std::vector<GeneratePrompt> prompts = read_prompts(arguments, vocabulary, engine);
  int64_t length = 0;
  for (const GeneratePrompt& prompt : prompts) length += static_cast<int64_t>(prompt.ids.size());
  if (prompts.empty()) throw std::runtime_error(arguments.questions + ": no questions");
  const auto mean = length / static_cast<int64_t>(prompts.size());
  nlohmann::json out = {{"load_seconds", load}, {"prompt_length", mean}};
  std::vector<std::vector<int32_t>> ids;
  for (const GeneratePrompt& prompt : prompts) ids.push_back(prompt.ids);
  out["prompts"] = ids;
  out["fixed"] = timed(engine, prompts, {}, arguments);
  out["natural"] = timed(engine, prompts, vocabulary.ends, arguments);
  out["bare"] = bare(engine, mean, arguments);
  fmt::print("{}\n", out.dump());
}
