#include <fmt/format.h>

#include "gyro/base/version.h"
#include "gyro/cli/commands.h"
#include "gyro/cli/reference/tree.h"

namespace gyro {
namespace {

// Text as roff shows it as it is.
std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\') {
      out += "\\e";
    } else if (c == '-') {
      out += "\\-";
    } else if (c == '\'') {
      out += "\\(aq";
    } else {
      out += c;
    }
  }
  return out.starts_with(".") ? "\\&" + out : out;
}

std::string synopsis(const CommandInfo& command) {
  std::string out = fmt::format(".B gyro {}\n", command.name);
  if (!command.commands.empty()) out += ".I COMMAND\n";
  for (const OptionInfo& option : command.positionals) {
    out += fmt::format(".I {}{}\n", escaped(option.names[0]), option.repeated ? " ..." : "");
  }
  for (const OptionInfo& option : command.options) {
    if (option.required) out += fmt::format(".B {}\n.I {}\n", escaped(option.names.back()), option.value());
  }
  return out + ".RI [ options ]\n";
}

std::string entry(const OptionInfo& option) {
  std::string head;
  for (const std::string& name : option.names) head += (head.empty() ? "\\fB" : "\\fR, \\fB") + escaped(name);
  const bool named = option.names[0].starts_with("-") || option.takes == Takes::Choice;
  const std::string value = named ? option.value() : "";
  if (!value.empty()) head += "\\fR \\fI" + escaped(value);
  std::string text = escaped(option.description);
  if (!option.fallback.empty()) text += fmt::format(" [{}]", escaped(option.fallback));
  return fmt::format(".TP\n{}{}\\fR\n{}\n", head, option.repeated ? " ..." : "", text);
}

std::string section(const CommandInfo& command) {
  std::string out = fmt::format(".SS gyro {}\n{}.\n", command.name, escaped(command.description));
  out += ".PP\n" + synopsis(command);
  for (const OptionInfo& option : command.positionals) out += entry(option);
  for (const OptionInfo& option : command.options) out += entry(option);
  for (const std::string& note : command.notes) out += ".PP\n" + escaped(note) + "\n";
  if (command.examples.empty()) return out;
  out += ".PP\n.EX\n";
  for (const std::string& example : command.examples) out += escaped(example) + "\n";
  return out + ".EE\n";
}

}  // namespace

std::string man_page(const std::vector<CommandInfo>& tree) {
  std::string out =
      fmt::format("'\\\" -*- coding: utf-8 -*-\n.TH GYRO 1 \"\" \"Gyro {0}\" \"User Commands\"\n", version());
  out += ".SH NAME\ngyro \\- what post\\-training did to the weights of a language model\n.SH SYNOPSIS\n";
  bool first = true;
  for (size_t i = 1; i < tree.size(); ++i) {
    if (!tree[i].commands.empty()) continue;  // those below it have lines of their own
    out += (first ? "" : ".br\n") + synopsis(tree[i]);
    first = false;
  }
  out += ".SH DESCRIPTION\n" + escaped(tree.front().description) + "\n.SH OPTIONS\n";
  for (const OptionInfo& option : tree.front().options) out += entry(option);
  out += ".SH COMMANDS\n";
  for (size_t i = 1; i < tree.size(); ++i) out += section(tree[i]);
  out += ".SH EXIT STATUS\n";
  for (const auto& [code, meaning] : {std::pair{kDone, "Done."},
                                      {kFailed, "Failed: one line on standard error says at what."},
                                      {kUsage, "Wrong usage."},
                                      {kInterrupted, "Interrupted."}}) {
    out += fmt::format(".TP\n{}\n{}\n", code, meaning);
  }
  return out;
}

}  // namespace gyro
