#include "gyro/eval/grade/grade.h"

#include <fmt/format.h>

#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "gyro/base/error.h"
#include "gyro/checkpoint/json.h"
#include "gyro/cli/commands.h"
#include "gyro/cli/parse.h"

namespace gyro {
namespace {

constexpr size_t kLineLimit = size_t{64} << 20;

struct GradeArguments {
  std::string policy;
  bool flexible = false, json = false;
};

/// A line of the input, as read.
struct GradeLine {
  std::optional<std::string> policy, gold, output, finish;
  std::vector<std::string> choices;
};

// The next line of standard input without its end; false when there is none. It comes as soon as its newline has.
bool next_line(const std::string& subject, std::string& line) {
  line.clear();
  int c = 0;
  while ((c = std::getc(stdin)) != EOF && c != '\n') {
    if (line.size() == kLineLimit) fail(subject, "is longer than {} MiB", kLineLimit >> 20);
    line += static_cast<char>(c);
  }
  if (std::ferror(stdin) != 0) fail(ErrorKind::Io, "standard input", "cannot be read");
  return c == '\n' || !line.empty();
}

void take_member(const std::string& subject, const JsonPath& path, const JsonValue& value, GradeLine& line) {
  const bool text = value.kind == JsonValue::Kind::String;
  const auto wrong_kind = [&](const char* wanted) {
    fail(subject, "\"{}\" should be {}, not {}", path[0], wanted, json_kind_name(value.kind));
  };
  if (path[0] == "choices") {
    if (path.size() == 1 && value.kind != JsonValue::Kind::Array) wrong_kind("an array of strings");
    if (path.size() == 1) return;
    if (path.size() != 2 || !path[1].empty() || !text) fail(subject, "\"choices\" should be an array of strings");
    line.choices.emplace_back(value.text);
    return;
  }
  if (path.size() != 1) return;
  std::optional<std::string>* member = path[0] == "policy"      ? &line.policy
                                       : path[0] == "gold"      ? &line.gold
                                       : path[0] == "pred_text" ? &line.output
                                       : path[0] == "finish"    ? &line.finish
                                                                : nullptr;
  if (member == nullptr) return;  // of whoever keeps the lines
  if (!text) wrong_kind("a string");
  *member = std::string(value.text);
}

GradeLine parse_line(const std::string& subject, const std::string& text) {
  GradeLine line;
  visit_json(subject, text, [&](const JsonPath& path, const JsonValue& value) {
    if (path.empty() && value.kind != JsonValue::Kind::Object)
      fail(subject, "should be an object, not {}", json_kind_name(value.kind));
    if (!path.empty()) take_member(subject, path, value, line);
  });
  if (!line.gold) fail(subject, "has no \"gold\"");
  if (!line.output) fail(subject, "has no \"pred_text\"");
  return line;
}

grading::Policy policy_of_line(const std::string& subject, const GradeLine& line, const std::string& usual) {
  if (!line.policy && usual.empty()) fail(subject, "has no \"policy\", and no --policy is given");
  const std::string& name = line.policy ? *line.policy : usual;
  const auto policy = grading::policy_of(name);
  if (!policy) {
    fail(subject, "\"{}\" is no policy; there are {}", printable(name, 40), fmt::join(grading::policy_names(), ", "));
  }
  return *policy;
}

void print_grade(const grading::Grade& grade, const GradeArguments& arguments) {
  if (!arguments.json) {
    fmt::print("{}\n", grading::verdict_name((arguments.flexible ? grade.flexible : grade.strict).verdict));
    return;
  }
  const nlohmann::ordered_json json = {{"verdict", grading::verdict_name(grade.strict.verdict)},
                                       {"verdict_flexible", grading::verdict_name(grade.flexible.verdict)},
                                       {"extracted", grade.strict.extracted},
                                       {"extracted_flexible", grade.flexible.extracted},
                                       {"rule", grade.strict.rule},
                                       {"rule_flexible", grade.flexible.rule}};
  fmt::print("{}\n", json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
}

int run(const GradeArguments& arguments) {
  std::string text;
  for (uint64_t number = 1;; ++number) {
    const std::string subject = fmt::format("line {}", number);
    if (!next_line(subject, text)) return kDone;
    const GradeLine line = parse_line(subject, text);
    const grading::Policy policy = policy_of_line(subject, line, arguments.policy);
    const bool cut = line.finish == "length";
    print_grade(grading::grade({policy, *line.gold, *line.output, cut, line.choices}), arguments);
    // Who asks line by line waits for the answer.
    if (std::fflush(stdout) != 0) fail(ErrorKind::Io, "standard output", "cannot write");
  }
}

}  // namespace

void add_grade_command(CLI::App& app, int& exit_code) {
  auto* command = app.add_subcommand("grade", "Whether models' answers are right, a line each");
  auto arguments = std::make_shared<GradeArguments>();
  command->add_option("--policy", arguments->policy, "How to grade lines that do not say it")
      ->check(one_of(grading::policy_names()))
      ->type_name("NAME");
  command->add_flag("--flexible", arguments->flexible, "The verdict on the last answer in any form");
  command->add_flag("--json", arguments->json,
                    "Both verdicts, what was taken for the answer and the rule that decided");
  command->footer(
      "Standard input has a JSON object a line: \"gold\" and \"pred_text\" are strings; \"policy\" may be one, "
      "\"finish\" is\n"
      "\"length\" for an output that was cut at its limit, \"choices\" are the options' texts. Other members are left "
      "alone.\n"
      "A line is answered at once: correct, wrong, or N/A for an output that was cut before it gave an answer.\n"
      "  boxed   the text in the last \\boxed{}\n"
      "  gsm8k   the number there, or after the last ####\n"
      "  math    the same, equal as mathematics\n"
      "  choice  the option's letter there, or on the last line \"Answer: B\"\n"
      "Examples:\n"
      "  gyro grade --policy math <outputs.jsonl\n"
      "  gyro grade --policy gsm8k --flexible <outputs.jsonl | sort | uniq -c\n"
      "  printf '%s\\n' '{\"gold\": \"1/2\", \"pred_text\": \"\\\\boxed{0.5}\"}' | gyro grade --policy math --json");
  command->callback([arguments, &exit_code] { exit_code = run(*arguments); });
}

}  // namespace gyro
