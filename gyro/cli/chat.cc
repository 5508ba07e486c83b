#include "gyro/infer/chat.h"

#include <fmt/format.h>
#include <unistd.h>

#include <functional>
#include <iostream>
#include <memory>
#include <string>

#include "gyro/base/error.h"
#include "gyro/base/team.h"
#include "gyro/cli/commands.h"
#include "gyro/cli/engine_options.h"
#include "gyro/cli/interrupt.h"
#include "gyro/cli/parse.h"
#include "gyro/eval/completion.h"

namespace gyro {
namespace {

struct ChatArguments {
  EngineArguments engine;
  std::string system;
  std::optional<std::string> prompt;
  bool raw = false;
  int64_t max_tokens = 1024;
  SamplerOptions sampler;
};

// Prints an answer as it comes; returns it whole.
std::string answer(const ChatModel& model, std::vector<int32_t> ids, uint64_t turn, const ChatArguments& arguments) {
  GenerateOptions options;
  options.sampler = arguments.sampler;
  options.max_tokens = arguments.max_tokens;
  options.slots = 1;
  std::string text;
  const auto print = [&](size_t, int32_t id) {
    const std::string piece = answer_piece(model, id);
    text += piece;
    fmt::print("{}", piece);
    return std::fflush(stdout) == 0 && !interrupted();
  };
  const std::vector<GeneratePrompt> prompts = {{std::move(ids), turn}};
  const Generations found = generate(model.loaded.engine, prompts, model.ends, options, print);
  fmt::print("\n");
  std::fflush(stdout);
  switch (found.texts.front().finish) {
    case Finish::Length:
      fmt::print(stderr, "gyro: stopped after {} tokens (--max-tokens)\n", arguments.max_tokens);
      break;
    case Finish::Context:
      fmt::print(stderr, "gyro: stopped: the context of {} positions is full\n", model.loaded.engine.context());
      break;
    case Finish::End:
    case Finish::Stopped:
      break;
  }
  return text;
}

// One turn a line of standard input, until it ends.
void converse(const ChatModel& model, const ChatArguments& arguments, std::vector<ChatMessage> messages) {
  const bool asks = isatty(STDIN_FILENO) != 0;
  std::string line;
  for (uint64_t turn = 0; !interrupted(); ++turn) {
    if (asks) fmt::print(stderr, "> ");
    if (!std::getline(std::cin, line)) break;
    if (line.empty()) continue;
    messages.push_back({"user", line});
    messages.push_back({"assistant", as_utf8(answer(model, chat_prompt(model, messages), turn, arguments))});
  }
}

void talk(const ChatModel& model, const ChatArguments& arguments) {
  std::vector<ChatMessage> messages;
  if (!arguments.system.empty()) messages.push_back({"system", arguments.system});
  if (!arguments.prompt) return converse(model, arguments, std::move(messages));
  messages.push_back({"user", *arguments.prompt});
  answer(model, arguments.raw ? plain_prompt(model, *arguments.prompt) : chat_prompt(model, messages), 0, arguments);
}

int run(const ChatArguments& arguments) {
  const ChatModel model =
      open_chat(load_model(arguments.engine, false), arguments.raw ? ForChat::PlainTexts : ForChat::Conversations);
  catch_interrupts("");
  const std::function<bool()> stop = interrupted;
  Team team(stop);
  const TeamMember member(&team);
  try {
    talk(model, arguments);
  } catch (const Stopped&) {  // which is reported below
  } catch (const Error&) {
    if (!interrupted()) throw;  // else it is of what was broken off
  }
  return interrupted() ? report_interruption("") : kDone;
}

}  // namespace

void add_chat_command(CLI::App& app, int& exit_code) {
  auto* command = app.add_subcommand("chat", "Talk to a model, or have it continue a text");
  auto arguments = std::make_shared<ChatArguments>();
  command->add_option("MODEL", arguments->engine.model, "Folder of a checkpoint, or a .gguf file")->required();
  auto* prompt = command->add_option("-p,--prompt", arguments->prompt,
                                     "Answer this and end; without it, each line of standard input is a turn");
  command->add_option("--system", arguments->system, "System prompt")->type_name("TEXT");
  command->add_flag("--raw", arguments->raw, "Continue the prompt as it is, without the model's chat template")
      ->needs(prompt)
      ->excludes("--system");
  command->add_option("--temp", arguments->sampler.temperature, "Temperature; 0 takes the likeliest token")
      ->check(number_from(0, 100))
      ->capture_default_str();
  command->add_option("--top-p", arguments->sampler.top_p, "Draw from the fewest tokens that have this probability")
      ->check(number_from(1e-6, 1))
      ->capture_default_str();
  command->add_option("--seed", arguments->sampler.seed, "Seed of the draws")->capture_default_str();
  command->add_option("-n,--max-tokens", arguments->max_tokens, "Most tokens of an answer")
      ->check(whole_number_from(1, int64_t{1} << 30))
      ->capture_default_str();
  add_engine_options(*command, arguments->engine);
  command->footer(
      "Examples:\n"
      "  gyro chat instruct -p 'How many eggs are a dozen?'\n"
      "  gyro chat base --raw -p 'Once upon a time' --temp 0.8 -n 100");
  command->callback([arguments, &exit_code] { exit_code = run(*arguments); });
}

}  // namespace gyro
