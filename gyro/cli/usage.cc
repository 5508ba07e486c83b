#include "gyro/cli/usage.h"

#include <fmt/format.h>

#include "gyro/cli/names.h"

namespace gyro {
namespace {

using std::string;

std::vector<string> commands_of(const CLI::App& app) {
  std::vector<string> names;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; }))
    names.push_back(command->get_name());
  return names;
}

const CLI::App* inner_command(const CLI::App& app, const string& name) {
  const auto is_it = [&](const CLI::App* command) { return command->get_name() == name; };
  const std::vector<const CLI::App*> found = app.get_subcommands(is_it);
  return found.empty() ? nullptr : found.front();
}

std::vector<string> options_of(const CLI::App& app) {
  std::vector<string> names;
  for (const CLI::Option* option : app.get_options()) {
    for (const string& name : option->get_lnames()) names.push_back("--" + name);
  }
  return names;
}

bool takes_value(const CLI::Option& option) {
  return option.get_items_expected_max() > 0;
}

string with_suggestion(const string& problem, const string& typed, const std::vector<string>& choices) {
  const string meant = did_you_mean(typed, choices);
  return meant.empty() ? problem : fmt::format("{}; did you mean '{}'?", problem, meant);
}

// What the command that was given did not expect.
string unexpected(const CLI::App& app) {
  const CLI::App& command = *given_command(app).command;
  for (const string& word : app.remaining(true)) {
    if (word.starts_with("-") && word != "--")
      return with_suggestion(fmt::format("unknown option '{}'", word), word.substr(0, word.find('=')),
                             options_of(command));
  }
  const std::vector<string> words = app.remaining(true);
  const string word = words.empty() ? "" : words.front();
  if (const std::vector<string> commands = commands_of(command); !commands.empty())
    return with_suggestion(fmt::format("unknown command '{}'", word), word, commands);
  return fmt::format("did not expect '{}'", word);
}

template <typename Kind>
bool is(const CLI::ParseError& error) {
  return dynamic_cast<const Kind*>(&error) != nullptr;
}

}  // namespace

std::vector<string> meant_words(std::vector<string> words) {
  if (words.empty()) return {"--help"};
  if (words.front() == "version" && words.size() == 1) return {"--version"};
  if (words.front() == "help" && words.size() <= 2) {
    words.erase(words.begin());
    words.emplace_back("--help");
  }
  return words;
}

std::vector<string> with_empty_values(const CLI::App& app, const std::vector<string>& words) {
  const CLI::App* command = &app;
  std::vector<string> out;
  for (const string& word : words) {
    if (const CLI::App* inner = inner_command(*command, word); inner != nullptr) command = inner;
    const string name = word.substr(0, word.find('='));
    const CLI::Option* option = word == name + "=" ? command->get_option_no_throw(name) : nullptr;
    const bool empty = option != nullptr && name.starts_with("--") && takes_value(*option);
    out.push_back(empty ? name : word);
    if (empty) out.emplace_back();
  }
  return out;
}

void refuse_empty_values(CLI::App& app) {
  const CLI::Validator check([](std::string& text) { return text.empty() ? "has no value" : ""; }, "");
  for (CLI::Option* option : app.get_options()) {
    const bool may_be_empty = option->check_lname("system") || option->check_lname("prompt");
    if (takes_value(*option) && !option->get_positional() && !may_be_empty) option->transform(check);
  }
  for (CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) refuse_empty_values(*command);
}

std::optional<string> wrong_command(const CLI::App& app, const std::vector<string>& words) {
  if (words.empty() || words.front().starts_with("-")) return std::nullopt;
  const std::vector<string> commands = commands_of(app);
  if (std::find(commands.begin(), commands.end(), words.front()) != commands.end()) return std::nullopt;
  return with_suggestion(fmt::format("unknown command '{}'", words.front()), words.front(), commands);
}

GivenCommand given_command(const CLI::App& app) {
  GivenCommand given{&app, ""};
  for (std::vector<CLI::App*> inner = app.get_subcommands(); !inner.empty(); inner = given.command->get_subcommands()) {
    given.command = inner.front();
    given.words += given.command->get_name() + " ";
  }
  return given;
}

string usage_problem(const CLI::App& app, const CLI::ParseError& error) {
  string text = error.what();
  if (is<CLI::ExtrasError>(error)) return unexpected(app);
  if (is<CLI::RequiredError>(error) && !commands_of(*given_command(app).command).empty()) {
    const std::vector<string> words = app.remaining(true);
    return words.empty() || words.front().starts_with("-") ? "a command is missing" : unexpected(app);
  }
  if (is<CLI::ArgumentMismatch>(error) && text.find(" required ") != string::npos && text.ends_with(" missing"))
    return text.substr(0, text.find(':')) + " needs a value";
  return text;
}

}  // namespace gyro
