#include <fmt/format.h>

#include "gyro/cli/reference/tree.h"

namespace gyro {
namespace {

std::string names_of(const CommandInfo& command) {
  std::string out;
  for (const OptionInfo& option : command.options) {
    for (const std::string& name : option.names) out += (out.empty() ? "" : " ") + name;
  }
  return out;
}

std::string words_below(const CommandInfo& command) {
  std::string out;
  for (const CommandInfo& below : command.commands) out += (out.empty() ? "" : " ") + below.word();
  return out;
}

// What may follow an option, as one arm of the `case` over command and the word before.
std::string arm(const CommandInfo& command, const OptionInfo& option) {
  std::string words;
  for (const std::string& name : option.names)
    words += fmt::format("{}'{} {}'", words.empty() ? "" : "|", command.name, name);
  const std::string action = option.takes == Takes::Choice
                                 ? fmt::format("_gyro_words '{}'", fmt::join(option.choices, " "))
                             : option.takes == Takes::Folder ? "_gyro_folders"
                             : option.takes == Takes::File   ? "_gyro_files"
                                                             : ":";
  return fmt::format("    {}) {}; return ;;\n", words, action);
}

std::string arms(const CommandInfo& command) {
  std::string out;
  for (const OptionInfo& option : command.options) {
    if (option.takes != Takes::Nothing) out += arm(command, option);
  }
  return out;
}

// Options, the commands below, and the words of a first argument that has a choice (build's OP).
std::string words_of(const CommandInfo& command) {
  std::string out = fmt::format("    '{}')\n      if [[ $cur == -* ]]; then _gyro_words '{}'; return; fi\n",
                                command.name, names_of(command));
  if (!command.commands.empty()) out += fmt::format("      _gyro_words '{}'; return\n", words_below(command));
  if (!command.positionals.empty() && command.positionals[0].takes == Takes::Choice) {
    out += fmt::format("      if ((COMP_CWORD == at + 1)); then _gyro_words '{}'; return; fi\n",
                       fmt::join(command.positionals[0].choices, " "));
  }
  return out + "      ;;\n";
}

constexpr const char* kBash = R"(# bash completion of gyro
_gyro_words() {{ mapfile -t COMPREPLY < <(compgen -W "$1" -- "$cur"); }}
_gyro_folders() {{ mapfile -t COMPREPLY < <(compgen -d -- "$cur"); }}
_gyro_files() {{ mapfile -t COMPREPLY < <(compgen -f -- "$cur"); }}

_gyro() {{
  local cur=${{COMP_WORDS[COMP_CWORD]}} prev=${{COMP_WORDS[COMP_CWORD - 1]}} command='' at
  COMPREPLY=()
  for ((at = 1; at < COMP_CWORD; at++)); do
    if [[ ${{COMP_WORDS[at]}} == -* ]]; then continue; fi
    command+=${{command:+ }}${{COMP_WORDS[at]}}
    case $command in
{groups}      *) break ;;
    esac
  done
  if [[ -z $command ]]; then _gyro_words '{commands} {options}'; return; fi
  case "$command $prev" in
{arms}  esac
  case $command in
{words}  esac
  _gyro_folders
}}
complete -o filenames -F _gyro gyro
)";

}  // namespace

std::string bash_completion(const std::vector<CommandInfo>& tree) {
  std::string groups, all_arms, words;
  for (size_t i = 1; i < tree.size(); ++i) {
    if (!tree[i].commands.empty()) groups += fmt::format("      '{}') ;;\n", tree[i].name);
    all_arms += arms(tree[i]);
    words += words_of(tree[i]);
  }
  return fmt::format(fmt::runtime(kBash), fmt::arg("commands", words_below(tree.front())),
                     fmt::arg("options", names_of(tree.front())), fmt::arg("groups", groups),
                     fmt::arg("arms", all_arms), fmt::arg("words", words));
}

}  // namespace gyro
